"""Statistics over the outcomes of simulated swarms, each with its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean, stdev

from swarm.lab.simulation.simulated_swarm import Outcome

MINUTE = 1 / 60  # hours


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its standard error; None where the outcomes give none."""

    value: float | None
    se: float | None = None


def mean(values: Sequence[float]) -> Figure:
    if not values:
        return Figure(None)
    return Figure(fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Figure:
    """The ratio of two sums over the same swarms: a share that is pooled, or a comparison that is paired."""
    total = math.fsum(bottoms)
    if not total:
        return Figure(None)
    value = math.fsum(tops) / total
    residuals = [top - value * bottom for top, bottom in zip(tops, bottoms, strict=True)]
    pairs = len(residuals)
    if pairs < 2:
        return Figure(value)
    return Figure(value, math.sqrt(math.fsum(r * r for r in residuals) * pairs / (pairs - 1)) / abs(total))


def share(outcomes: Sequence[Outcome], part: Callable[[Outcome], float], whole: Callable[[Outcome], float]) -> Figure:
    """`part` of `whole`, pooled over the swarms."""
    return ratio([part(outcome) for outcome in outcomes], [whole(outcome) for outcome in outcomes])


def speedup(one: Sequence[Outcome], many: Sequence[Outcome], hours: float) -> Figure:
    """How much sooner many agents have the mean trunk gain that one has after `hours`; error by jackknife.

    The swarms are paired: the same ideas in the same order.
    """
    whole = _speedup(one, many, hours)
    pairs = len(one)
    left_out = [_speedup([*one[:i], *one[i + 1 :]], [*many[:i], *many[i + 1 :]], hours) for i in range(pairs)]
    known = [value for value in left_out if value is not None]
    if whole is None or pairs < 2 or len(known) < pairs:
        return Figure(whole)
    return Figure(whole, (pairs - 1) / math.sqrt(pairs) * stdev(known))


def _speedup(one: Sequence[Outcome], many: Sequence[Outcome], hours: float) -> float | None:
    """None where many agents did not get so far before their end was cut off."""
    if not one or not many:
        return None
    target = fmean(outcome.gain_at(hours) for outcome in one)
    final = fmean(outcome.gain for outcome in many)
    if target <= 0 or final < target:
        return None
    reached = next(m * MINUTE for m in count() if fmean(outcome.gain_at(m * MINUTE) for outcome in many) >= target)
    return hours / reached
