"""The result of a swarm in one paragraph: the leading state against the baseline, and how far that is proven."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from swarm.judge.closing import Headline
from swarm.snapshot.records import Snapshot, TrunkView
from swarm.wording.formatting import Scale, clean, is_exact, plural
from swarm.wording.markdown import escape
from swarm.wording.standing import kept_steps, tally, tally_explained
from swarm.wording.verdict_text import judged, tried

NOTHING = "No improvement found."


class Leader(Struct, frozen=True):
    """The state that a swarm is judged by, against the baseline. `fresh`: both measured by the closing wave alone."""

    step: TrunkView
    value: float | None
    n: int
    gain: float | None
    low: float | None
    high: float | None
    baseline: float | None
    baseline_n: int
    fresh: bool
    corrected: str = ""  # the same corrected for GPUs and steps, where that is another number: what decided

    @property
    def better(self) -> bool:
        return self.gain is not None and self.gain > 0


def leading(snapshot: Snapshot) -> Leader | None:
    """The champion, else the newest state of the trunk; None while that is the baseline. It is never picked by its
    own number, so that luck does not choose it."""
    steps = [step for step in snapshot.trunk if step.position > 0]
    if not steps:
        return None
    step = next((step for step in steps if step.experiment == snapshot.champion), steps[-1])
    fresh, better, scale = snapshot.headline, snapshot.corrected, Scale.of(snapshot)
    sign = 1 if snapshot.direction == "lower" else -1
    if fresh is not None:
        gain, low, high = fresh.gain, fresh.gain_low, fresh.gain_high
        other = "" if better is None else scale.corrected(sign * better.mean, better.gain, sign * fresh.mean, gain)
        return Leader(
            *(step, sign * fresh.mean, fresh.n, gain, low, high, sign * (fresh.mean + fresh.gain), fresh.m),
            fresh=True,
            corrected=other,
        )
    base = snapshot.trunk[0]
    other = ""
    if step.corrected is not None and base.corrected is not None:
        other = scale.corrected(step.corrected, sign * (base.corrected - step.corrected), step.value, step.gain)
    return Leader(
        *(step, step.value, step.n, step.gain, step.low, step.high, snapshot.baseline, base.n),
        fresh=False,
        corrected=other,
    )


def title(snapshot: Snapshot) -> str:
    """The result in one line."""
    scale, leader, tag = Scale.of(snapshot), leading(snapshot), clean(snapshot.tag)
    if leader is None or not leader.better:
        return f"{tag}: no improvement of {scale.metric} found"
    change = scale.interval(leader.gain, leader.low, leader.high)
    only = ", demonstration only" * bool(snapshot.demonstration)
    return f"{tag}: {scale.metric} {scale.value(leader.baseline)} to {scale.value(leader.value)} ({change}){only}"


def headline(snapshot: Snapshot, markdown: bool = False) -> str:
    """What the swarm found, in one paragraph: the champion or the newest state of the trunk against the baseline's
    mean, how far that is proven, and plainly so where nothing was found. Never the luckiest run."""
    finding, proof = _finding(snapshot, escape if markdown else clean)
    proof += " Demonstration only: edited code could read what it is measured on." * bool(snapshot.demonstration)
    return f"**{finding}** {proof}".rstrip() if markdown else f"{finding} {proof}".rstrip()


def hidden_of(snapshot: Snapshot, leader: Leader) -> Headline | None:
    """What the hidden split says of the leading state: the closing wave, else the newest confirmation that has it."""
    tests = [t.hidden for t in snapshot.confirmations if t.experiment == leader.step.experiment and t.hidden]
    return snapshot.hidden or (tests[-1] if tests else None)


def second_opinion(snapshot: Snapshot) -> str:
    """What the hidden split says of the leading state, in a sentence; empty where there is no leader."""
    leader, scale = leading(snapshot), Scale.of(snapshot)
    if leader is None:
        return ""
    if not snapshot.hidden_split:
        return "There is no second opinion: this project measures no hidden split."
    hidden = hidden_of(snapshot, leader)
    if hidden is None:
        return "Nothing was measured on the hidden split yet: that is for confirmations and the closing wave."
    gain = scale.interval(hidden.gain, hidden.gain_low, hidden.gain_high)
    words = f"On a hidden split, which decided nothing, its gain is {gain} over {hidden.n} + {hidden.m} fresh runs."
    if leader.better and leader.gain is not None and hidden.gain < leader.gain / 2:
        words += " That is less than half: part of what was found may fit the visible split alone."
    return words


def _finding(snapshot: Snapshot, safe: Callable[[str], str]) -> tuple[str, str]:
    """The finding in a sentence, and what it rests on. `safe` makes foreign text harmless."""
    scale, leader = Scale.of(snapshot), leading(snapshot)
    if snapshot.baseline is None:
        return NOTHING, f"{without_baseline(snapshot).capitalize()}, so there was nothing to compare with."
    if leader is None:
        number = plural(len(tried(snapshot)), "experiment")
        runs = plural(snapshot.trunk[0].n if snapshot.trunk else 0, "run")
        stays = f"{safe(scale.metric)} stays at the baseline's mean of {scale.value(snapshot.baseline)} ({runs})"
        return NOTHING, f"None of {number} was kept; {stays}."
    measured = _measured(leader, scale)
    if not leader.better:
        steps = tally(snapshot) or f"{plural(len(kept_steps(snapshot)), 'step')} kept"
        return NOTHING, f"{steps}, but together they measure {measured}."
    name = f"{safe(leader.step.title)} ({safe(leader.step.experiment)})"
    if leader.step.experiment == snapshot.champion:
        words = f"The champion, {name}, has {_one(safe(scale.metric))} of {measured}."
        return words, f"It was confirmed on fresh seeds. {_since(snapshot, leader, scale)}"
    words = f"The newest state of the trunk has {_one(safe(scale.metric))} of {measured}."
    return words, f"Its last step is {name}. {_strength(snapshot, leader)}"


def without_baseline(snapshot: Snapshot) -> str:
    """Why there is no baseline to compare with."""
    if snapshot.ended is None and snapshot.status != "interrupted":
        return "the baseline is being measured"
    if any(run.state in ("measured", "crashed") for run in snapshot.runs):
        return "the baseline gave no number"
    return f"the swarm was {'interrupted' if snapshot.ended is None else 'ended'} before its baseline was measured"


def _one(metric: str) -> str:
    return f"{'an' if metric[:1].lower() in 'aeiou' else 'a'} {metric}"


def _measured(leader: Leader, scale: Scale) -> str:
    runs = plural(leader.n, "fresh run") if leader.fresh else plural(leader.n, "run")
    interval = scale.interval(leader.gain, leader.low, leader.high)
    if not is_exact(leader.low, leader.high):
        interval += " (95% interval)"
    baseline = f"the baseline's mean of {scale.value(leader.baseline)} ({plural(leader.baseline_n, 'run')})"
    corrected = f" ({leader.corrected})" if leader.corrected else ""
    return f"{scale.value(leader.value)} over {runs}, {interval} against {baseline}{corrected}"


def _since(snapshot: Snapshot, champion: Leader, scale: Scale) -> str:
    newest = snapshot.trunk[-1]
    if newest is champion.step:
        return ""
    change = scale.interval(newest.gain, newest.low, newest.high)
    return f"The trunk has moved on since, to {scale.value(newest.value)} ({change}), which is not confirmed."


def _strength(snapshot: Snapshot, leader: Leader) -> str:
    """What a state without confirmation is worth."""
    if snapshot.noiseless:
        return "Equal code gives equal numbers here: every step was decided by one run, and there is no noise."
    if leader.fresh and snapshot.sigma == 0:
        words = "All repeats gave the same number: seeds do not reach the code, and how much luck is in it is not seen."
    elif leader.fresh:
        words = "Its fresh runs did not suffice to confirm it."
    elif tally(snapshot):
        words = f"It has {tally_explained(snapshot)}; none is confirmed on fresh seeds."
    elif any(e.n < 2 for e in judged(snapshot) if e.status == "keep"):
        words = "Not every step was replicated and none is confirmed on fresh seeds: part of the gain may be luck."
    else:
        words = (
            "Its steps were replicated but not confirmed on fresh seeds: expect the true gain to be somewhat smaller."
        )
    return f"{words} The interval includes no gain at all." if leader.low is not None and leader.low <= 0 else words
