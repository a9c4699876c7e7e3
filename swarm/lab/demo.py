"""A made-up swarm, to look at the views without a real one: `python -m swarm.lab.demo [AGENTS]`.

It is deterministic, and shows every kind of thing that can happen.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace
from rich.console import Console

from swarm.records import CATEGORIES
from swarm.snapshot.records import AgentView, Event, ExperimentView, RunView, Snapshot, TrunkView
from swarm.views.leaderboard import watch

BUDGET = 300.0
BASELINE = 0.9979
SIGMA = 0.0009
_STARTED = 1_775_340_000.0
_IDEAS = (
    ("schedule", "longer warmdown, 70% of the run", "the loss still falls steeply when the rate reaches zero"),
    ("optimizer", "raise the embedding learning rate to 0.8", "rare tokens get few updates in five minutes"),
    ("batch", "halve the batch, 2**18 tokens", "more steps are worth more than cleaner gradients at this budget"),
    ("architecture", "squared ReLU gated by a sigmoid", "gating helps at equal parameters in small models"),
    ("attention", "window pattern SSSSL", "fewer long layers buy throughput"),
    ("architecture", "depth 9, width 576", "the aspect ratio of 64 comes from larger models"),
    ("normalization", "no weight on the final RMSNorm", "the head can absorb it"),
    ("optimizer", "Muon momentum 0.97 after warmup", "longer averages fit the late phase"),
    ("embedding", "value embeddings on every layer", "cheap capacity, almost no FLOPs"),
    ("schedule", "weight decay falls to zero with the rate", "decay late in training only shrinks the weights"),
    ("simplification", "drop the x0 scalars", "one parameter group and a multiplication less"),
    ("head", "softcap 20 in place of 15", "saturated logits lose gradient"),
)


@dataclass(frozen=True, slots=True)
class _Outcome:
    view: ExperimentView
    runs: tuple[RunView, ...]
    step: TrunkView | None


def demo_swarm(
    agents: int = 8, hours: float = 8.0, now: float | None = None, seed: int = 5, ended: bool = False
) -> Snapshot:
    """The snapshot `now` hours (default: all of them) after the start of a swarm of `agents` agents."""
    at = _STARTED + 3600 * (hours if now is None else now)
    outcomes = [o for o in _outcomes(agents, hours, seed) if o.view.created <= at]
    judged = [o for o in outcomes if (o.view.judged or 0.0) <= at]
    baseline = TrunkView(
        0, "apr5-baseline", "baseline", BASELINE, 2 * agents, None, None, None, _STARTED + 600, "b" * 40
    )
    trunk = (baseline, *(o.step for o in judged if o.step))
    known = at >= _STARTED + 600
    champion = next((o.view for o in reversed(judged) if o.view.rung == "champion"), None)
    return Snapshot(
        tag="apr5", now=at, started=_STARTED, ended=at if ended else None, status="finished" if ended else "running",
        folder=".swarm/apr5", branch="autoresearch/apr5", metric="val_bpb", direction="lower", policy="race",
        researcher="sweep", device="NVIDIA H200", budget=BUDGET, deadline=_STARTED + 3600 * hours,
        limits=f"{hours:g} h",
        baseline=BASELINE if known else None, sigma=SIGMA if known else None, best=trunk[-1].value if known else None,
        champion=champion.id if champion else None, agents=_rows(agents, outcomes, judged, at),
        trunk=trunk if known else (),
        experiments=tuple(o.view if (o.view.judged or 0.0) <= at else _running(o.view) for o in outcomes),
        runs=(*(run for o in judged for run in o.runs), *_under_way(outcomes, at)),
        events=tuple(_event(o.view) for o in judged),
        notes=((_STARTED + 5400, "try smaller batches"), (_STARTED + 9000, "what about rotary base 50k?")),
        counts={s: sum(o.view.status == s for o in judged) for s in ("keep", "discard", "crash")} | {"duplicate": 11},
        spent_usd=0.031 * len(judged), spend_limit_usd=20.0, gpu_hours=agents * (at - _STARTED) / 3600,
        train_share=0.97, categories=CATEGORIES, usual_seconds=BUDGET * 1.15 if judged else None,
        standing=tuple(step.experiment for step in trunk[1:]),
    )  # fmt: skip


def _outcomes(agents: int, hours: float, seed: int) -> list[_Outcome]:
    """All experiments of the swarm in the order of their verdicts."""
    dice = random.Random(seed)
    trunk, outcomes = BASELINE, []
    span = BUDGET * 1.15
    for index in range(int(agents * (hours * 3600 - 600) / (1.3 * span))):
        agent = f"gpu{index % agents}"
        created = _STARTED + 600 + (index // agents) * 1.3 * span + dice.uniform(0, 40)
        category, title, rationale = _IDEAS[index % len(_IDEAS)]
        title = title if index < len(_IDEAS) else f"{title} ({index // len(_IDEAS) + 1})"
        true_gain = dice.gauss(-0.0012, 0.0018) * (0.5 ** (index / 150))
        crashed = dice.random() < 0.09
        kept = not crashed and true_gain > 0.0006
        n = 3 if kept else 1 + (true_gain > 0)
        gain, half = true_gain + dice.gauss(0, SIGMA / n), 1.96 * SIGMA * (1 / n + 1 / 4) ** 0.5
        view = ExperimentView(
            id=f"apr5-{agent}-{index // agents + 1:04}", agent=agent, title=title, category=category, state="judged",
            status="crash" if crashed else "keep" if kept else "discard", rung="kept" if kept else "seen",
            rationale=rationale, commit=f"{dice.getrandbits(160):040x}", position=len(outcomes), n=0 if crashed else n,
            value_n=0 if crashed else n,
            value=None if crashed else trunk - gain, gain=None if crashed else gain,
            low=None if crashed else gain - half, high=None if crashed else gain + half,
            peak_vram_mb=None if crashed else dice.uniform(40e3, 60e3), audited=not crashed, sandboxed=not crashed,
            created=created, judged=created + n * span,
            failure=dice.choice(("oom", "nan", "code", "timeout")) if crashed else None,
            reason="the run crashed" if crashed else f"gain {gain:.4f} over {n} run{'s' * (n > 1)}",
        )  # fmt: skip
        outcomes.append(_Outcome(view, _runs(view, index), None))
        trunk -= true_gain if kept else 0
    outcomes.sort(key=lambda o: o.view.judged or 0.0)
    return _with_trunk(outcomes)


def _runs(view: ExperimentView, index: int) -> tuple[RunView, ...]:
    return tuple(
        RunView(
            id=f"{view.id}.{k + 1}", attempt=1, experiment=view.id, agent=view.agent,
            purpose="first" if k == 0 else "replicate", seed=k, state="crashed" if view.failure else "measured",
            sha=view.commit, parent="b" * 40, metric=None if view.value is None else view.value + (-1) ** k * SIGMA / 2,
            status=view.status, seconds=BUDGET * 1.1 + index % 7, description=view.title,
            started=view.created + k * BUDGET * 1.15, failure=view.failure,
            audited=None if view.failure else True, sandboxed=None if view.failure else True,
        )
        for k in range(max(view.n, 1))
    )  # fmt: skip


def _under_way(outcomes: Sequence[_Outcome], at: float) -> Iterator[RunView]:
    """What every agent runs now; nothing is known of it."""
    unknown = {"metric": None, "status": None, "seconds": None, "failure": None, "audited": None, "sandboxed": None}
    for outcome in outcomes:
        begun = [run for run in outcome.runs if run.started <= at]
        if begun and (outcome.view.judged or 0.0) > at:
            yield replace(begun[-1], state="running", **unknown)


def _with_trunk(outcomes: Sequence[_Outcome]) -> list[_Outcome]:
    """The keeps in order are the trunk; every fourth is confirmed, one of these is champion."""
    value, position, result = BASELINE, 0, []
    champion = sum(outcome.view.status == "keep" for outcome in outcomes) * 3 // 4 // 4 * 4
    for outcome in outcomes:
        view, step = outcome.view, None
        if view.status == "keep":
            position += 1
            value -= max(view.gain or 0.0, 0.0)
            half = 1.6 * SIGMA
            gain = BASELINE - value
            step = TrunkView(
                position, view.id, view.title, value, 4, gain, gain - half, gain + half, view.judged or 0.0, view.commit
            )
            rung = "champion" if position == champion else "kept" if position % 4 else "confirmed"
            view = replace(view, rung=rung, position=position)
        result.append(_Outcome(view, outcome.runs, step))
    return result


def _running(view: ExperimentView) -> ExperimentView:
    """The experiment while it runs: nothing is known yet."""
    unknown = {"value": None, "gain": None, "low": None, "high": None, "commit": None, "judged": None, "failure": None}
    return replace(view, state="testing", status=None, rung="seen", n=0, reason="", peak_vram_mb=None, **unknown)


def _event(view: ExperimentView) -> Event:
    return Event(view.judged or 0.0, view.agent, view.status or "", view.title, view.id)


def _rows(agents: int, outcomes: Sequence[_Outcome], judged: Sequence[_Outcome], at: float) -> tuple[AgentView, ...]:
    return tuple(_row(f"gpu{k}", k, outcomes, judged, at) for k in range(agents))


def _row(name: str, slot: int, outcomes: Sequence[_Outcome], judged: Sequence[_Outcome], at: float) -> AgentView:
    mine = [o for o in judged if o.view.agent == name]
    running = next((o.view for o in outcomes if o.view.agent == name and (o.view.judged or 0.0) > at), None)
    best = max((o.step for o in mine if o.step), key=lambda step: step.gain or 0.0, default=None)
    since = (at - running.created) % (BUDGET * 1.15) if running else 0.0
    state = "drafting" if running is None else "training" if since < BUDGET else "measuring"
    first = running is None or at - running.created < BUDGET * 1.15
    return AgentView(
        agent=name, branch=f"autoresearch/apr5-{name}", device=f"cuda:{slot % 8} NVIDIA H200", researcher="sweep",
        state=state, note="" if running else "waits for its draft", experiment=running.id if running else None,
        title=running.title if running else "", purpose="" if running is None else "first" if first else "replicate",
        step=int(since * 6), loss=2.9 + 3.5 / (1 + since / 20) if running and state == "training" else None,
        seconds=min(since, BUDGET), budget=BUDGET, gain=best.gain if best else None, low=best.low if best else None,
        high=best.high if best else None, keep=sum(o.view.status == "keep" for o in mine),
        discard=sum(o.view.status == "discard" for o in mine), crash=sum(o.view.status == "crash" for o in mine),
        gpu_load=0.99 if state == "training" else 0.34, gpu_memory_gb=44.1 + slot % 3, gpu_watts=642.0 + 7 * (slot % 5),
    )  # fmt: skip


def play(agents: int = 8) -> None:
    """Shows the swarm on this terminal, a minute of it each second."""
    begun = time.monotonic()

    def read() -> Snapshot:
        hours = 0.1 + (time.monotonic() - begun) / 60
        return demo_swarm(agents, now=min(hours, 8.0), ended=hours >= 8.0)

    try:
        watch(read, Console(), stopping="Ctrl-C ends this demo")
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    play(*map(int, sys.argv[1:2]))
