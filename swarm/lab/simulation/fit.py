"""How edits turn out in one project, from the effects of those that were tried: shares and sizes, with their intervals.

The model is that of simulated landscapes (landscape.py): a share of all edits loses, a share gains, both by exponential
amounts, and the rest does next to nothing. Each effect was seen through noise that is known. Gibbs sampling gives the
whole posterior in a few hundred rounds: which part each edit is of, then the shares, then the sizes. Equal effects give
equal numbers. Everything is in sigmas; a positive effect is a gain.
"""

from __future__ import annotations

import math
import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean

from swarm.judge.effects import NOTHING, Seen, log_density_of_exponential, log_density_of_normal

ROUNDS, WARM_UP = 600, 100
SIZES = tuple(0.7 * 1.12**step for step in range(36))  # mean gains and losses that are looked at: 0.7 to 37 sigmas
FURTHEST = 40.0  # sigmas; how much worse a broken model is beyond that says nothing of other edits
USUAL_GAIN, USUAL_LOSS, APART = 4.0, 8.0, 0.9  # mean sizes as they are elsewhere, and the deviation of their logarithms
WEAK = (1.2, 1.35, 0.45)  # edits that the prior counts for: nothing, losses, gains, in the proportions of the judge's
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Range:
    """The mean of what is possible, and its 95% interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Range:
        inside = sorted(values)
        first = int(_TAIL * len(inside))
        return cls(fmean(inside), inside[first], inside[-1 - first])

    def times(self, factor: float) -> Range:
        return Range(self.value * factor, self.low * factor, self.high * factor)

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Shape:
    """One possible answer: the shares of losses and gains among all edits, and their mean sizes in sigmas."""

    bad: float
    gain: float
    mean_loss: float
    mean_gain: float


@dataclass(frozen=True, slots=True)
class Fit:
    """All that the effects of `ideas` edits leave possible, each answer as often as it is likely."""

    ideas: int
    shapes: tuple[Shape, ...]

    @property
    def bad(self) -> Range:
        return Range.of([shape.bad for shape in self.shapes])

    @property
    def gain(self) -> Range:
        return Range.of([shape.gain for shape in self.shapes])

    @property
    def mean_loss(self) -> Range:
        return Range.of([shape.mean_loss for shape in self.shapes])

    @property
    def mean_gain(self) -> Range:
        return Range.of([shape.mean_gain for shape in self.shapes])

    def drawn(self, number: int) -> Shape:
        """One of the answers; other numbers give others, spread over all of them."""
        return self.shapes[number * 7919 % len(self.shapes)]


def fit(effects: Sequence[Seen]) -> Fit:
    """What edits are like, from those that were seen; with none of them, the prior."""
    chance, table = random.Random("fit"), [_Densities.of(seen) for seen in effects]
    shares, gain, loss = _normalised(WEAK), len(SIZES) // 2, len(SIZES) // 2
    shapes = []
    for round_ in range(ROUNDS + WARM_UP):
        counts, gains, losses = list(WEAK), list[_Densities](), list[_Densities]()
        for one in table:
            part = _part(one, shares, gain, loss, chance.random())
            counts[part] += 1
            if part:
                (losses if part == 1 else gains).append(one)
        shares = _normalised([chance.gammavariate(count, 1.0) for count in counts])
        gain = _size([_GAIN_PRIOR, *(one.gains for one in gains)], chance.random())
        loss = _size([_LOSS_PRIOR, *(one.losses for one in losses)], chance.random())
        if round_ >= WARM_UP:
            shapes.append(Shape(shares[1], shares[2], SIZES[loss], SIZES[gain]))
    return Fit(len(effects), tuple(shapes))


@dataclass(frozen=True, slots=True)
class _Densities:
    """The density of one effect as it was seen, were it nothing, a loss or a gain of each mean size; and logarithms."""

    nothing: float
    losses: tuple[float, ...]
    gains: tuple[float, ...]
    plain_losses: tuple[float, ...]
    plain_gains: tuple[float, ...]

    @classmethod
    def of(cls, seen: Seen) -> _Densities:
        x = max(-FURTHEST, min(seen.x, FURTHEST))
        nothing = log_density_of_normal(x, NOTHING**2 + seen.s**2)
        losses = tuple(log_density_of_exponential(-x, seen.s, size) for size in SIZES)
        gains = tuple(log_density_of_exponential(x, seen.s, size) for size in SIZES)
        top = max(nothing, *losses, *gains)  # only their proportions count

        def plain(logs: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(math.exp(log - top) for log in logs)

        return cls(math.exp(nothing - top), losses, gains, plain(losses), plain(gains))


def _part(one: _Densities, shares: Sequence[float], gain: int, loss: int, chance: float) -> int:
    """0 nothing, 1 a loss, 2 a gain: drawn by what is likely under these shares and sizes."""
    nothing, lost, gained = (
        shares[0] * one.nothing,
        shares[1] * one.plain_losses[loss],
        shares[2] * one.plain_gains[gain],
    )
    at = chance * (nothing + lost + gained)
    return 0 if at < nothing else 1 if at < nothing + lost else 2


def _prior(usual: float) -> tuple[float, ...]:
    return tuple(-0.5 * (math.log(size / usual) / APART) ** 2 for size in SIZES)


_GAIN_PRIOR, _LOSS_PRIOR = _prior(USUAL_GAIN), _prior(USUAL_LOSS)


def _size(logs: Sequence[Sequence[float]], chance: float) -> int:
    """The place of a mean size, drawn by how likely each makes what is of that part."""
    sums = [math.fsum(column) for column in zip(*logs, strict=True)]
    top = max(sums)
    reached = list(accumulate(math.exp(total - top) for total in sums))
    return min(bisect(reached, chance * reached[-1]), len(SIZES) - 1)


def _normalised(values: Sequence[float]) -> list[float]:
    whole = math.fsum(values)
    return [value / whole for value in values]


def unknowns(known: Fit, gains: float) -> Iterator[str]:
    """What these effects cannot tell, for people. `gains` is how many of them are real gains, about."""
    if known.ideas < ENOUGH_IDEAS:
        yield f"{known.ideas} ideas are few: shares and sizes lean on what is usual elsewhere"
    if gains < ENOUGH_GAINS:
        yield f"about {gains:.1f} real gains were seen: how large the next ones are is hardly known"
    yield "what changes less than a sigma cannot be told from nothing, and counts as nothing"
    yield "how soon gains run out: 33 mean gains are assumed to be had in all, as in the default landscape"


ENOUGH_IDEAS, ENOUGH_GAINS = 40, 4.0
