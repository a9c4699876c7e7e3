"""The next swarm on a project, simulated on what an earlier one showed of it: `swarm simulate --from`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from swarm.errors import UsageError
from swarm.judge.effects import NOTHING
from swarm.lab.simulation.evidence import USUAL_OFFSET, Evidence
from swarm.lab.simulation.figures import Figure, ratio
from swarm.lab.simulation.fit import Fit, Range, Shape, fit, unknowns
from swarm.lab.simulation.landscape import LANDSCAPES, Landscape
from swarm.lab.simulation.simulated_swarm import Outcome, SimulatedSwarm, simulate

POLICIES = ("carry", "race", "greedy")
REFERENCE = "greedy"
SIGMA = 0.0006  # of the simulated metric: all is simulated in sigmas, and read in the project's own
NIGHTS, ENOUGH, PATIENCE = 20, 4, 60.0  # swarms of each policy: at most, at least, and seconds after which it is enough
HOURS, BUDGET, THINK = 12.0, 300.0, 60.0  # where neither the evidence nor anybody says
MOST = 3000  # runs of one simulated swarm, which take minutes
HOUR = 3600.0
_THINKS = 0.2  # at most this share of a run goes into thinking: it is done while the GPU works


@dataclass(frozen=True, slots=True)
class Setting:
    """What the next swarm is: its GPUs, hours, and the seconds of a run."""

    gpus: int
    hours: float
    budget: float


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One policy's swarms: the true gain in the metric's units and the rest as means, gain over greedy's paired."""

    policy: str
    gain: Range
    over_greedy: Figure
    standing: float
    kept: float
    false_kept: float
    ideas: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The fit, what was simulated on it, and what nobody can know."""

    evidence: Evidence
    fit: Fit
    setting: Setting
    swarms: int  # of each policy, on the same ideas
    policies: tuple[Foreseen, ...]
    unknown: tuple[str, ...]


def forecast(
    evidence: Evidence,
    setting: Setting,
    policies: Sequence[str],
    nights: int | None,
    seed: int,
    workers: int,
    on_progress: Callable[[int, int], Any] = lambda done, of: None,
) -> Forecast:
    """Simulates the next swarm under every policy, each time on another landscape that the evidence leaves possible.

    `nights` swarms of each policy, or as many as a minute allows.
    """
    known = fit(evidence.effects)
    swarms = [_swarms(evidence, known, setting, policies, seed + number) for number in range(nights or NIGHTS)]
    outcomes: list[list[Outcome]] = []
    begun, most = time.monotonic(), workers or os.cpu_count() or 1
    with ProcessPoolExecutor(most) as pool:
        for round_ in swarms:
            outcomes.append(list(pool.map(simulate, round_)))
            on_progress(len(outcomes), len(swarms))
            if not nights and len(outcomes) >= ENOUGH and time.monotonic() - begun > PATIENCE:
                break
    by_policy = dict(zip(policies, zip(*outcomes, strict=True), strict=True))
    unit = evidence.sigma.value / SIGMA
    foreseen = tuple(_foreseen(name, cell, by_policy[REFERENCE], unit) for name, cell in by_policy.items())
    return Forecast(evidence, known, setting, len(outcomes), foreseen, tuple(_unknown(evidence, known, setting)))


def setting_of(evidence: Evidence, gpus: int | None, hours: float | None, budget: float | None) -> Setting:
    """The next swarm as it was asked for, else like the one before, else as usual: of MOST runs at most.

    UsageError where more were asked for, which would be simulated for hours.
    """
    found = Setting(gpus or evidence.gpus, hours or evidence.hours or HOURS, budget or evidence.seconds or BUDGET)
    longest = MOST * found.budget / HOUR / found.gpus
    if found.hours <= longest:
        return found
    if hours:
        runs = round(MOST * hours / longest)
        raise UsageError(
            f"--hours {hours:g}: with {found.budget:.3g} s a run that is {runs:,} of them, and at most {MOST:,} are"
            f" simulated: give --hours {longest:.2g} or fewer"
        )
    return replace(found, hours=longest)


def landscape_of(shape: Shape, crashed: float) -> Landscape:
    """The landscape of one possible answer. What crashes takes a run and gains nothing, as a loss does."""
    usual = LANDSCAPES["default"]
    mean_gain = shape.mean_gain * SIGMA
    return Landscape(
        bad=crashed + (1 - crashed) * shape.bad,
        gain=(1 - crashed) * shape.gain,
        mean_gain=mean_gain,
        mean_loss=shape.mean_loss * SIGMA,
        drift=NOTHING * SIGMA,
        needs=0.0,  # gains that showed nothing yet were counted as nothing
        overlaps=0.0,
        room=usual.room / usual.mean_gain * mean_gain,
    )


def _swarms(
    evidence: Evidence, known: Fit, setting: Setting, policies: Sequence[str], seed: int
) -> list[SimulatedSwarm]:
    first = SimulatedSwarm(
        landscape_of(known.drawn(seed), evidence.crash_share),
        SIGMA,
        gpus=setting.gpus,
        hours=setting.hours,
        seed=seed,
        repeats=0.0,
        offset=evidence.offset.value if evidence.offset else USUAL_OFFSET,
        budget=setting.budget,
        think=min(THINK, _THINKS * setting.budget),
    )
    return [replace(first, policy=policy) for policy in policies]


def _foreseen(policy: str, cell: Sequence[Outcome], greedy: Sequence[Outcome], unit: float) -> Foreseen:
    kept = sum(outcome.keeps for outcome in cell)
    return Foreseen(
        policy,
        Range.of([unit * outcome.gain for outcome in cell]),
        ratio([outcome.gain for outcome in cell], [outcome.gain for outcome in greedy]),
        fmean(outcome.standing for outcome in cell),
        fmean(outcome.keeps for outcome in cell),
        sum(outcome.false_keeps for outcome in cell) / kept if kept else 0.0,
        fmean(outcome.experiments for outcome in cell),
    )


def _unknown(evidence: Evidence, known: Fit, setting: Setting) -> list[str]:
    gains = known.gain.value * known.ideas
    told = [*evidence.doubts, *unknowns(known, gains)]
    if evidence.seconds and abs(setting.budget / evidence.seconds - 1) > 0.1:
        told.append("what longer or shorter runs change: effects and noise are taken to be the same in them")
    runs = setting.gpus * setting.hours * HOUR / setting.budget
    if setting.hours < (evidence.hours or HOURS) and runs > 0.99 * MOST:
        told.append(f"what comes after {setting.hours:.2g} hours: {MOST:,} runs of a swarm are simulated at most")
    told.append("whether the next ideas are as good as the earlier ones, and that none is tried again")
    return told
