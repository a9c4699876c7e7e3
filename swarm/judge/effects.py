"""What edits are worth, as far as is known before one is run, and what one noisy number then says of it.

Most edits do next to nothing, many harm, few help. The prior is a mixture of such effects: a narrow normal one around
none, and exponential ones for losses and gains of several sizes. Everything is in sigmas (the deviation between runs
of the same code), and a positive effect is a gain. The posterior of an effect e, seen as x = e + N(0, s^2), follows
from the density of x alone (Tweedie's formula, Efron 2011, https://doi.org/10.1198/jasa.2011.tm11181):

    mean = x + s^2 (log f)'(x)        variance = s^2 + s^4 (log f)''(x)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import add, sub, truediv

from msgspec import Struct

NOTHING = 0.2  # the deviation of effects that are next to none
LOSSES, GAINS = (1.0, 4.0, 16.0), (1.0, 4.0)  # mean sizes of the others
WORTH = 20.0  # ideas that the prior counts for when the shares are learned

_SHARES = (0.40, 0.15, 0.15, 0.15, 0.075, 0.075)  # nothing, losses, gains
_FAR = -6.0  # deviations from which on the normal tail is taken by its continued fraction
_ROOT = math.sqrt(2.0)
_EXTREME = 1e12  # sigmas; further out every part falls alike, and squares would overflow
_LOG_2PI = math.log(2.0 * math.pi)
_LEAST = 1e-12  # of a variance, in units of s^2


class Seen(Struct, frozen=True):
    """One effect, as a number says: x = effect + N(0, s^2), in sigmas."""

    x: float
    s: float


class Effect(Struct, frozen=True):
    """The posterior of one effect: its mean and variance, and the chance that it is a real gain and no mere noise.

    `score` and `curve` are the first and second derivative of log f at x: what the number says of its place.
    """

    mean: float
    variance: float
    real: float
    score: float
    curve: float


# One part's density at x: its logarithm, and that one's first and second derivative. A tuple, as it is made at every
# look at every effect.
_Density = tuple[float, float, float]


class Effects(Struct, frozen=True):
    """The mixture. `shares` are of the parts in their order: nothing, LOSSES, GAINS; they add up to 1."""

    shares: tuple[float, ...] = _SHARES

    @classmethod
    def from_totals(cls, totals: Sequence[float]) -> Effects:
        """The shares where so many effects were of each part, the prior being worth WORTH."""
        counts = [WORTH * share + total for share, total in zip(_SHARES, totals, strict=True)]
        whole = math.fsum(counts)
        return cls(tuple(count / whole for count in counts))

    def of(self, seen: Seen) -> Effect:
        """What is known of an effect after it was seen."""
        densities = _densities(seen)
        parts = weights(self.logs(), [density[0] for density in densities])
        score = second = 0.0
        for weight, (_, slope, bend) in zip(parts, densities, strict=True):
            score += weight * slope
            second += weight * (bend + slope * slope)
        curve, square = second - score**2, seen.s**2
        return Effect(
            mean=seen.x + square * score,
            variance=max(_LEAST * square, square + square**2 * curve),
            real=min(1.0, math.fsum(parts[-len(GAINS) :])),
            score=score,
            curve=curve,
        )

    def log_density(self, seen: Seen) -> float:
        """How likely it was to see the effect there, as the logarithm of a density."""
        logs = list(map(add, self.logs(), log_densities(seen)))
        highest = max(logs)
        return highest + math.log(math.fsum(math.exp(log - highest) for log in logs))

    def parts(self, seen: Seen) -> list[float]:
        """The chance of each part, given where the effect was seen; they add up to 1."""
        return weights(self.logs(), log_densities(seen))

    def logs(self) -> tuple[float, ...]:
        """The logarithms of the shares."""
        return _logs(self.shares)

    def learned(self, seen: Iterable[Seen]) -> Effects:
        """The shares after one step of expectation maximisation over these effects."""
        totals = [0.0] * len(_SHARES)
        for one in seen:
            for place, weight in enumerate(self.parts(one)):
                totals[place] += weight
        return self.from_totals(totals)


@functools.lru_cache(maxsize=8)  # they are asked for several times between two changes of the shares
def _logs(shares: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(math.log(share) for share in shares)


def weights(shares: Sequence[float], densities: Sequence[float]) -> list[float]:
    """The chance of each part where these are the logarithms of its share and its density; they add up to 1."""
    logs = list(map(add, shares, densities))
    parts = list(map(math.exp, map(sub, logs, repeat(max(logs)))))
    return list(map(truediv, parts, repeat(math.fsum(parts))))


def log_densities(seen: Seen) -> list[float]:
    """The logarithm of each part's density where the effect was seen: what `parts` needs, whatever the shares are."""
    x, s = max(-_EXTREME, min(seen.x, _EXTREME)), seen.s
    losses = [log_density_of_exponential(-x, s, size) for size in LOSSES]
    gains = [log_density_of_exponential(x, s, size) for size in GAINS]
    return [log_density_of_normal(x, NOTHING**2 + s**2), *losses, *gains]


def log_density_of_normal(x: float, variance: float) -> float:
    """Of a normal effect about none, with the noise in that variance too, seen at x."""
    return -0.5 * (x * x / variance + math.log(variance) + _LOG_2PI)


def log_density_of_exponential(x: float, s: float, size: float) -> float:
    """Of an exponential effect of that mean size, seen at x through N(0, s^2)."""
    z = x / s - s / size
    if z < _FAR:  # f = n s Mills(-z) / b, in which nothing under- or overflows
        return -0.5 * (x / s) ** 2 - math.log(s) - 0.5 * _LOG_2PI + math.log(s * _mills(-z) / size)
    return 0.5 * (s / size) ** 2 - x / size + math.log(0.5 * math.erfc(-z / _ROOT) / size)


def _densities(seen: Seen) -> list[_Density]:
    x, s = max(-_EXTREME, min(seen.x, _EXTREME)), seen.s
    log_normal = -0.5 * (x / s) ** 2 - math.log(s) - 0.5 * _LOG_2PI
    found = [_normal(x, NOTHING**2 + s**2)]
    for size in LOSSES:
        log, score, curve = _exponential(-x, s, size, log_normal)
        found.append((log, -score, curve))
    for size in GAINS:
        found.append(_exponential(x, s, size, log_normal))
    return found


def _normal(x: float, variance: float) -> _Density:
    return log_density_of_normal(x, variance), -x / variance, -1.0 / variance


def _exponential(x: float, s: float, size: float, log_normal: float) -> _Density:
    """Of an exponential effect of that mean size, seen with N(0, s^2): f = exp(s^2/2b^2 - x/b) Phi(x/s - s/b) / b.

    As f' = (n - f) / b with n = N(x; 0, s^2), all that is needed beside log f is n / f. `log_normal` is log n.
    """
    log = log_density_of_exponential(x, s, size)
    ratio = math.exp(log_normal - log)
    score = (ratio - 1.0) / size
    return log, score, (-x / s**2 * ratio - score) / size - score**2


def _mills(t: float) -> float:
    """The normal tail beyond t > 0 over the density at t, by its continued fraction (Abramowitz and Stegun 26.2.14)."""
    value = t
    for step in range(40, 0, -1):
        value = t + step / value
    return 1.0 / value
