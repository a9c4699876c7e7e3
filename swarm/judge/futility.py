"""Whether a run could have been ended early: its training losses beside its parent's on the same seed, half way.

Learned from full curves of the swarm itself, for no two projects are alike: how far behind its parent a run may lie at
a moment and still end no worse. Edits of a schedule, a rate, the batch or the seed are left out: their losses say
little until the schedule bites. Losses are lower-is-better, gains positive where better.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from msgspec import Struct

from swarm.judge import student

MOMENTS = (5, 7)  # tenths of the training after which a run may be ended: curves are kept in tenths
CURVES = 20  # full ones that limits are learned from; so many others are needed to judge one by them
MISSED = 0.01  # of the winners may be ended at most
_TENTHS = 10
_TIMED = re.compile(
    r"lr|rate|sched|warm|cool|decay|anneal|batch|accum|seed|rng|random|shuffle|step|epoch|iter|time|budget|progress",
    re.IGNORECASE,
)


class Paired(Struct, frozen=True):
    """A run that was trained to its end, beside its parent's of the same seed: mean losses by tenths of the training,
    what it gained in the metric, and whether it was kept."""

    own: tuple[float, ...]
    parent: tuple[float, ...]
    gain: float
    won: bool

    def lag(self, tenth: int) -> float:
        """How far its loss lies above its parent's in the last tenth until then."""
        return self.own[tenth - 1] - self.parent[tenth - 1]


class Limits(Struct, frozen=True):
    """The lag at each of the moments from which on a run is hopeless."""

    lags: tuple[float, ...]

    def ended(self, run: Paired) -> int | None:
        """The tenth after which it would have been ended; None where it would have been trained to its end."""
        return next((tenth for tenth, most in zip(MOMENTS, self.lags, strict=True) if run.lag(tenth) > most), None)


class Futility(Struct, frozen=True):
    """What ending hopeless runs would have done in one swarm, each run judged by limits learned from all others."""

    curves: int
    winners: int
    missed: int  # winners that would have been ended
    ended: int
    saved: float  # share of the training time of these runs

    @property
    def allowed(self) -> bool:
        """Whether the swarm's own curves show that hardly a winner would be lost."""
        return self.curves > CURVES and self.winners > 0 and self.missed < MISSED * self.winners


def touches_time(diff: str) -> bool:
    """Whether a diff changes a line that speaks of a schedule, a rate, the batch, the seed or the like."""
    changed = (line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---"))
    return any(_TIMED.search(line) for line in changed)


def in_tenths(curve: Sequence[tuple[float, float]]) -> tuple[float, ...] | None:
    """The mean losses of a curve by tenths; None where one of them is missing."""
    return tuple(loss for _, loss in curve) if len(curve) == _TENTHS else None


def limits(runs: Sequence[Paired]) -> Limits | None:
    """The limits that these runs teach; None where they are too few.

    The lag is a line of the gain and noise about it. A run that gains nothing at all lies below the limit but for one
    in two hundred, and every winner lies lower. Only the better half teaches, CURVES at least: what loses a lot is no
    line of anything.
    """
    if len(runs) < CURVES:
        return None
    better = sorted(runs, key=lambda run: -run.gain)[: max(CURVES, len(runs) // 2)]
    gains = [run.gain for run in better]
    return Limits(tuple(_limit(gains, [run.lag(tenth) for run in better]) for tenth in MOMENTS))


def look_back(runs: Sequence[Paired]) -> Futility:
    """What would have come of these runs. The limits for each are learned from all others: none judges itself."""
    winners = sum(run.won for run in runs)
    missed = ended = 0
    saved = 0.0
    for place, run in enumerate(runs):
        known = limits([*runs[:place], *runs[place + 1 :]])
        tenth = known.ended(run) if known else None
        if tenth is not None:
            ended, missed, saved = ended + 1, missed + run.won, saved + 1 - tenth / _TENTHS
    return Futility(len(runs), winners, missed, ended, saved / len(runs) if runs else 0.0)


def _limit(gains: Sequence[float], lags: Sequence[float]) -> float:
    """The lag above which a run of no gain lies by chance in one case of two hundred."""
    n = len(gains)
    middle, level = math.fsum(gains) / n, math.fsum(lags) / n
    xx = math.fsum((gain - middle) ** 2 for gain in gains)
    slope = math.fsum((gain - middle) * lag for gain, lag in zip(gains, lags, strict=True)) / xx if xx else 0.0
    rest = math.fsum((lag - level - slope * (gain - middle)) ** 2 for gain, lag in zip(gains, lags, strict=True))
    spread = math.sqrt(rest / (n - 2) * (1 + 1 / n + (middle**2 / xx if xx else 0.0)))
    return level - slope * middle + student.quantile(n - 2, 1 - MISSED / len(MOMENTS)) * spread
