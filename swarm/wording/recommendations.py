"""The report's advice on what to try next. Each recommendation says what it rests on."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from statistics import median

from swarm.judge.saturation import SATURATED
from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.wording.formatting import Scale, clean, plural, share
from swarm.wording.headline import leading
from swarm.wording.markdown import code, escape
from swarm.wording.standing import is_kept, standing
from swarm.wording.verdict_text import FAILURES, is_near_miss, judged

_FEW = 30  # experiments; fewer say little about what does not work
_DROUGHT = 40  # experiments without a keep before other directions are advised
_INSTANT = {"sweep", "scripted"}  # researchers that nobody waits for
_SAMPLE = 4  # experiments of a category before its rates are worth a word


def recommend(snapshot: Snapshot) -> list[str]:
    """Markdown sentences, the most useful first. Never empty."""
    experiments = [e for e in judged(snapshot) if not e.quarantine and e.restores is None]
    return [
        _continuation(snapshot, experiments),
        *_doubtful(snapshot),
        *_near_misses(experiments),
        *_untried(snapshot, experiments),
        *_fruitful(snapshot, experiments),
        *_drought(snapshot, experiments),
        *_saturation(snapshot),
        *_noise(snapshot, experiments),
        *_crashes(experiments),
        *_machine(snapshot),
    ]


def next_tag(tag: str) -> str:
    """The tag to suggest for the next swarm: apr5 -> apr6, night -> night-2."""
    numbered = re.fullmatch(r"(.*?)(\d+)[a-z]?", tag)
    return f"{numbered[1]}{int(numbered[2]) + 1}" if numbered else f"{tag}-2"


def _continuation(snapshot: Snapshot, experiments: list[ExperimentView]) -> str:
    command = f"python -m swarm launch --tag {next_tag(clean(snapshot.tag))} --from {clean(snapshot.tag)}"
    if leading(snapshot) is None and len(experiments) < _FEW:
        tried = plural(len(experiments), "experiment")
        return (
            f"Give it more time: {tried} are too few to call this code hard to improve. {code(command + ' --hours 8')}"
        )
    start = "champion" if snapshot.champion else "newest trunk state" if leading(snapshot) else "baseline"
    return f"Go on from the {start}; all that was tried stays known: {code(command)}"


def _doubtful(snapshot: Snapshot) -> Iterator[str]:
    """Steps of the trunk that are more likely no gain than one, where no ablation has told yet which can go."""
    doubted = [view for view in standing(snapshot) if not is_kept(view, snapshot)]
    if doubted and snapshot.ended is not None and snapshot.ablation is None:
        named = ", ".join(f"{escape(view.title)} (p={view.real:.2f})" for view in doubted[:3] if view.real is not None)
        of_all = f"{plural(len(doubted), 'step')} of {len(standing(snapshot))} on the trunk"
        command = code(f"python -m swarm ablate {clean(snapshot.tag)}")
        verb = "is" if len(doubted) == 1 else "are"
        yield f"By all runs {of_all} {verb} more likely no gain: {named}. {command} measures which can go."


def _near_misses(experiments: list[ExperimentView]) -> Iterator[str]:
    missed = sorted(filter(is_near_miss, experiments), key=lambda e: -(e.gain or 0.0))
    if missed:
        best = ", ".join(escape(e.title) for e in missed[:3])
        command = code(f"python -m swarm tell {shlex.quote('look again at: ' + clean(missed[0].title))}")
        yield f"Look again at the near misses, alone or combined ({len(missed)}; the nearest: {best}). {command}"


def _untried(snapshot: Snapshot, experiments: list[ExperimentView]) -> Iterator[str]:
    tried = {e.category for e in experiments}
    untried = [category for category in snapshot.categories if category not in tried]
    if untried and experiments:
        command = code(f"python -m swarm tell {shlex.quote('look at ' + ' and '.join(untried[:2]))}")
        yield f"Nobody tried: {escape(', '.join(untried))}. {command}"


def _fruitful(snapshot: Snapshot, experiments: list[ExperimentView]) -> Iterator[str]:
    tried = Counter(e.category for e in experiments)
    kept = Counter(e.category for e in experiments if e.status == "keep" and is_kept(e, snapshot))
    rates = {c: kept[c] / n for c, n in tried.items() if n >= _SAMPLE and kept[c]}
    if rates:
        best = max(rates, key=lambda category: rates[category])
        yield f"Dig on in {escape(best)}: {kept[best]} of {plural(tried[best], 'experiment')} kept: the best rate."


def _drought(snapshot: Snapshot, experiments: list[ExperimentView]) -> Iterator[str]:
    kept = (k for k, e in enumerate(reversed(experiments)) if e.status == "keep" and is_kept(e, snapshot))
    since = next(kept, len(experiments))
    if since >= _DROUGHT:
        yield (
            f"The last {since} experiments brought no keep: change the direction (program.md is re-read live), "
            "the budget, or the size of the steps."
        )


def _saturation(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.saturated:
        yield f"Look first whether edits can matter here at all: {SATURATED}."


def _noise(snapshot: Snapshot, experiments: list[ExperimentView]) -> Iterator[str]:
    gains = [e.gain for e in experiments if e.status == "keep" and is_kept(e, snapshot) and e.gain is not None]
    if gains and snapshot.sigma and median(gains) < 1.5 * snapshot.sigma:
        scale = Scale.of(snapshot)
        budget = code(f"--budget {2 * snapshot.budget:g}")
        yield (
            f"The typical kept gain ({scale.value(median(gains))}) is near the noise of one run (sigma "
            f"{scale.value(snapshot.sigma)}): longer runs ({budget}) or more seeds would tell small gains apart better."
        )


def _crashes(experiments: list[ExperimentView]) -> Iterator[str]:
    tried = Counter(e.category for e in experiments)
    crashed = Counter(e.category for e in experiments if e.status == "crash")
    prone = [c for c, n in crashed.most_common() if tried[c] >= _SAMPLE and n / tried[c] >= 0.3]
    if prone:
        failures = Counter(e.failure for e in experiments if e.category == prone[0] and e.failure)
        common = failures.most_common(1)[0][0] if failures else None
        why = f", most often because it {FAILURES[common]}" if common in FAILURES else ""
        times = f"{crashed[prone[0]]} of {tried[prone[0]]} times"
        yield f"Ideas on {escape(prone[0])} crashed {times}{why}: say in program.md what to heed."


def _machine(snapshot: Snapshot) -> Iterator[str]:
    lost = sum(1 for run in snapshot.runs if run.failure in ("infrastructure", "stall", "contention"))
    if lost > 0.05 * len(snapshot.runs):
        doctor = code("python -m swarm doctor")
        yield f"{plural(lost, 'run')} stalled, were slowed down or fell to the machine: {doctor}"
    if snapshot.train_share is not None and snapshot.train_share < 0.9:
        if {name.partition(":")[0] for name in snapshot.researcher.split(",")} <= _INSTANT:
            rest = "agents wait for Ray, git and each other, which longer runs would make a smaller share of it"
        else:
            rest = "a faster researcher would fill the rest"
        yield f"Devices trained {share(snapshot.train_share)} of the time: {rest}."
