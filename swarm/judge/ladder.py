"""The scale ladder: whether a gain holds when training lasts longer, and how much training it saves.

At each budget a candidate runs beside the baseline on the same seeds. The compute multiplier says how much longer the
baseline would have to train to equal the candidate: it is read off the baseline's own ladder, linear in the logarithm
of the budget. Values are sign-normalised: lower is better, gains are positive.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from enum import StrEnum
from statistics import fmean, variance

from msgspec import Struct

from swarm.judge.confirm import around

DRAWS = 2_000  # of all means, for the intervals of multipliers
FURTHEST = 16.0  # times a budget: no multiplier is told beyond
LEAST_PAIRS = 2


class LadderVerdict(StrEnum):
    """What becomes of the gain from the shortest budget to the longest."""

    HOLDS = "holds"  # there is a gain at the longest, and its multiplier is not clearly smaller
    SHRINKS = "shrinks"  # there is one, and it saves clearly less
    GONE = "gone"  # there is none to be seen, and it is clearly less than at first
    UNCLEAR = "unclear"  # the runs do not tell


class Pairs(Struct, frozen=True):
    """Both arms at one budget (seconds): run k of each had the same seed."""

    budget: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...]


class Multiplier(Struct, frozen=True):
    """How many times longer the baseline must train. `beyond`: read off a straight line past its ladder."""

    value: float
    low: float
    high: float
    beyond: bool


class LadderRung(Struct, frozen=True):
    """One budget: the means, the gain with its 95% interval, and the multiplier, None where the baseline's ladder gives
    none: it does not fall there, or there is but one rung."""

    budget: float
    pairs: int
    ours: float
    theirs: float
    gain: float
    low: float
    high: float
    multiplier: Multiplier | None


class Ladder(Struct, frozen=True):
    """All rungs, the shortest budget first."""

    rungs: tuple[LadderRung, ...]
    verdict: LadderVerdict


def climb(pairs: Sequence[Pairs]) -> Ladder | None:
    """The ladder of these rungs; None where fewer than two of them have two pairs."""
    rungs = sorted((rung for rung in pairs if len(rung.ours) >= LEAST_PAIRS), key=lambda rung: rung.budget)
    if len(rungs) < 2:
        return None
    draws = _draws(rungs)
    budgets = [rung.budget for rung in rungs]
    ours, theirs = ([fmean(getattr(rung, arm)) for rung in rungs] for arm in ("ours", "theirs"))
    multipliers = [_multiplier(budgets, theirs, ours[place], place, draws) for place in range(len(rungs))]
    found = tuple(_rung(rung, multiplier) for rung, multiplier in zip(rungs, multipliers, strict=True))
    return Ladder(found, _verdict(found, _ratio(budgets, draws)))


def _rung(rung: Pairs, multiplier: Multiplier | None) -> LadderRung:
    gains = [theirs - ours for ours, theirs in zip(rung.ours, rung.theirs, strict=True)]
    gain = fmean(gains)
    low, high = around(gain, math.sqrt(variance(gains) / len(gains)), len(gains) - 1)
    return LadderRung(rung.budget, len(gains), fmean(rung.ours), fmean(rung.theirs), gain, low, high, multiplier)


# -- multipliers ---------------------------------------------------------------------------------------------------


def times_longer(budgets: Sequence[float], ladder: Sequence[float], value: float, budget: float) -> float | None:
    """How many times `budget` the baseline must train to reach `value`; None where its ladder does not say. Past its
    ends the nearest step of the ladder goes on, up to FURTHEST times the budget."""
    logs = [math.log(each) for each in budgets]
    steps = list(zip(zip(logs, ladder, strict=True), list(zip(logs, ladder, strict=True))[1:], strict=False))
    inside = (step for step in steps if step[1][1] <= value <= step[0][1])
    step = next(inside, None) or (steps[-1] if value < min(ladder) else steps[0] if value > ladder[0] else None)
    if step is None or step[0][1] <= step[1][1]:
        return None
    (x0, y0), (x1, y1) = step
    reached = x0 + (y0 - value) / (y0 - y1) * (x1 - x0) - math.log(budget)
    return math.exp(max(-math.log(FURTHEST), min(math.log(FURTHEST), reached)))


Means = tuple[list[float], list[float]]  # of our arm and of theirs, by rung


def _draws(rungs: Sequence[Pairs]) -> list[Means]:
    """Means that these runs might as well have had: noise is that of all rungs together, its size uncertain too."""
    chance = random.Random(0)
    arms = [(fmean(arm), len(arm)) for rung in rungs for arm in (rung.ours, rung.theirs)]
    freedom = sum(count - 1 for _, count in arms)
    squares = sum(variance(arm) * (len(arm) - 1) for rung in rungs for arm in (rung.ours, rung.theirs))
    found = []
    for _ in range(DRAWS):
        sigma = math.sqrt(squares / chance.gammavariate(freedom / 2, 2))
        drawn = [chance.gauss(mean, sigma / math.sqrt(count)) for mean, count in arms]
        found.append((drawn[::2], drawn[1::2]))
    return found


def _multiplier(
    budgets: Sequence[float], theirs: Sequence[float], ours: float, place: int, draws: Sequence[Means]
) -> Multiplier | None:
    value = times_longer(budgets, theirs, ours, budgets[place])
    if value is None:
        return None
    drawn = [times_longer(budgets, ladder, mine[place], budgets[place]) for mine, ladder in draws]
    known = sorted(each for each in drawn if each is not None)
    if len(known) < DRAWS // 2:
        return None
    low, high = known[int(0.025 * len(known))], known[int(0.975 * len(known))]
    return Multiplier(value, min(low, value), max(high, value), not min(theirs) <= ours <= max(theirs))


def _ratio(budgets: Sequence[float], draws: Sequence[Means]) -> tuple[float, float] | None:
    """The 95% interval of the longest budget's multiplier over the shortest's; None where one is not known."""
    both = [
        (times_longer(budgets, theirs, ours[-1], budgets[-1]), times_longer(budgets, theirs, ours[0], budgets[0]))
        for ours, theirs in draws
    ]
    ratios = sorted(top / first for top, first in both if top is not None and first is not None)
    if len(ratios) < DRAWS // 2:
        return None
    return ratios[int(0.025 * len(ratios))], ratios[int(0.975 * len(ratios))]


def _verdict(rungs: Sequence[LadderRung], ratio: tuple[float, float] | None) -> LadderVerdict:
    first, top = rungs[0], rungs[-1]
    if top.low > 0:
        return LadderVerdict.SHRINKS if ratio and ratio[1] < 1 else LadderVerdict.HOLDS
    if first.low > 0 and top.high < first.gain:
        return LadderVerdict.GONE
    return LadderVerdict.UNCLEAR
