"""What an earlier swarm, or the record of anybody's loop, shows of its project: effects, noise, GPUs, a run's time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, pvariance

from swarm.errors import UsageError
from swarm.judge.effects import Seen
from swarm.judge.noise import Noise, Observation
from swarm.judge.record import LADDER, Recorded, effects_of, most_noise
from swarm.judge.trunk_levels import Measured, TrunkLevels
from swarm.lab.simulation.fit import Range
from swarm.ledger.agents import agents
from swarm.ledger.database import Ledger
from swarm.ledger.events import events
from swarm.ledger.experiments import experiments
from swarm.ledger.swarms import usual_seconds
from swarm.ledger.transaction import Transaction, of_swarm
from swarm.ledger.trunk_events import events_after, flagged
from swarm.records import Outcome, Status

HOUR = 3600.0
USUAL_OFFSET = 0.5  # sigmas: the spread of GPUs of which nothing is known
PRIOR_DF = 4.0  # repeats that a prior sigma counts for, as in swarm/judge/noise.py


@dataclass(frozen=True, slots=True)
class Evidence:
    """`effects` are in sigmas, `sigma` in the metric's units, `offset` (how far GPUs lie apart) in sigmas, `seconds`
    what a run takes. None where nothing tells; `doubts` say what that leaves open, for people."""

    name: str
    metric: str
    direction: str
    effects: tuple[Seen, ...]
    crashed: int
    sigma: Range
    offset: Range | None
    gpus: int
    seconds: float | None
    hours: float | None
    doubts: tuple[str, ...] = ()

    @property
    def crash_share(self) -> float:
        whole = len(self.effects) + self.crashed
        return self.crashed / whole if whole else 0.0


def of_ledger(ledger: Ledger, tag: str) -> Evidence:
    """What the swarm of that tag shows. UsageError where it knows no noise, for then nothing says what a gain is."""
    tx = of_swarm(ledger, tag)
    swarm, invalid = tx.swarm, flagged(tx)
    levels = TrunkLevels(swarm.base_source, swarm.sigma_prior, invalid)
    runs: list[Observation] = []
    for _, _, event in events_after(tx, 0, 0):
        levels.add(event)
        if isinstance(event, Measured):
            runs.append(event.observation)
    if levels.levels is None:
        raise UsageError(
            f"swarm {tag} has no noise to reckon with: {levels.noise.why_none}, so there is nothing to simulate it on"
        )
    ideas = [row for row in experiments(ledger, tag) if not row.baseline and not row.restores]
    offset = offset_spread(runs, levels.noise)
    doubts = []
    if levels.noise.df - (PRIOR_DF if swarm.sigma_prior is not None else 0) < PRIOR_DF:
        doubts.append("hardly any code was run twice: the noise is little more than what is usual on this device")
    if offset is None:
        doubts.append(f"how far GPUs lie apart: {USUAL_OFFSET:g} sigmas are assumed where there are several")
    return Evidence(
        name=tag,
        metric=swarm.metric,
        direction=swarm.direction,
        effects=tuple(levels.levels.seen()),
        crashed=sum(row.status is Status.CRASH or row.outcome is Outcome.FUTILE for row in ideas),
        sigma=_sigma(levels.noise),
        offset=offset,
        gpus=len(agents(ledger, tag)),
        seconds=usual_seconds(tx),
        hours=_hours(tx),
        doubts=tuple(doubts),
    )


def of_record(name: str, metric: str, direction: str, rows: Sequence[Recorded], sigma: float | None) -> Evidence:
    """What a record of single runs shows; where nobody says its sigma, half of the most that it can be is taken.

    UsageError where it shows no noise at all."""
    most = most_noise(rows)
    if not most and sigma is None:
        raise UsageError(f"{name}: equal numbers tell no noise; give --sigma NUMBER")
    known = Range(sigma, sigma, sigma) if sigma else Range(most * LADDER[1], most * LADDER[0], most * LADDER[2])
    doubts = ["how long a run takes: --budget says it", f"GPUs: {USUAL_OFFSET:g} sigmas apart are assumed"]
    if not sigma:
        doubts.insert(0, "sigma: nothing says that code was run twice; run one four times and give --sigma")
    return Evidence(
        name, metric, direction, tuple(effects_of(rows, known.value)), 0, known, None, 1, None, None, tuple(doubts)
    )


def with_crashes(evidence: Evidence, crashed: int) -> Evidence:
    """The same, of a record that also names so many ideas that gave no number."""
    return replace(evidence, crashed=crashed)


def offset_spread(runs: Sequence[Observation], noise: Noise) -> Range | None:
    """The deviation of the GPUs' offsets in sigmas, from code that several of them ran; None where none did.

    The GPUs' means over such code vary by their offsets and by the noise that is left in them.
    """
    states: dict[str, list[Observation]] = defaultdict(list)
    for run in runs:
        states[run.state].append(run)
    apart: dict[str, list[float]] = defaultdict(list)
    for same in states.values():
        if len({run.gpu for run in same}) > 1:
            middle = fmean(fmean(run.value for run in same if run.gpu == gpu) for gpu in {run.gpu for run in same})
            for run in same:
                apart[run.gpu].append(run.value - middle)
    if len(apart) < 2 or not noise.sigma:
        return None
    means = [fmean(values) / noise.sigma for values in apart.values()]
    left = fmean(1 / len(values) for values in apart.values())  # the noise's share of their variance
    df = len(means) - 1.0
    seen = pvariance(means) * len(means) / df
    low, high = _chi_squared(df, 0.975), _chi_squared(df, 0.025)
    found = [math.sqrt(max(0.0, seen * factor - left)) for factor in (1.0, df / low, df / high)]
    return Range(*found)


def _sigma(noise: Noise) -> Range:
    sigma, df = noise.sigma or 0.0, noise.df
    return Range(
        sigma, sigma * math.sqrt(df / _chi_squared(df, 0.975)), sigma * math.sqrt(df / _chi_squared(df, 0.025))
    )


def _chi_squared(df: float, share: float) -> float:
    """The value below which this share of a chi-squared variable lies, by Wilson and Hilferty's cube."""
    at = NormalDist().inv_cdf(share)
    return max(1e-9, df * (1 - 2 / (9 * df) + at * math.sqrt(2 / (9 * df))) ** 3)


def _hours(tx: Transaction) -> float | None:
    """How long the swarm was to run, or else has run."""
    asked = tx.swarm.settings.get("hours")
    if asked:
        return float(asked)
    end = tx.swarm.ended or max((event.at for event in events(tx.ledger, tx.tag)), default=None)
    return (end - tx.swarm.started) / HOUR if end else None
