"""What a step gains in the final stack: by what leaving it out costs there, and by what it gained when it was put on.

Most steps gain in the stack what they gained at first; some do not, as a later step does the same, or needs them. So
there are two readings of the two numbers: one effect seen twice, or two of which only the second counts. Each weighs
as much as the numbers make it likely, and where they agree the first run of the swarm helps the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

from swarm.judge.effects import Effect, Effects, Seen
from swarm.judge.rounding import gain_over

CHANGED = 0.25  # chance that a step gains something else in the stack than when it was put on


class StackGain(Struct, frozen=True):
    """A step's gain in the final stack, in sigmas: above 0 the stack is better with it. `real` is the chance that it
    is a gain and no mere noise."""

    mean: float
    variance: float
    real: float


class StackLevel(Struct, frozen=True):
    """What is believed of a code's level, in sigmas."""

    mean: float
    variance: float

    def seen_to(self, values: Sequence[float], noise: float) -> Seen:
        """How much worse a code with these values is."""
        return Seen(gain_over(fmean(values), self.mean), math.sqrt(self.variance + noise / len(values)))

    def after(self, gain: StackGain, values: Sequence[float], noise: float) -> StackLevel:
        """The level of the code that lacks this gain, by what is expected of it and by its own runs."""
        if not noise:
            return StackLevel(fmean(values), 0.0)
        expected, own = 1 / (self.variance + gain.variance + 1e-9), len(values) / noise
        mean = ((self.mean + gain.mean) * expected + fmean(values) * own) / (expected + own)
        return StackLevel(mean, 1 / (expected + own))


def stack_gain(first: Seen | None, stack: Sequence[Seen], effects: Effects) -> StackGain:
    """`first` is the gain as it was seen when the step was put on, `stack` what leaving it out showed, each time.

    Without noise (`s` 0) the newest look at the stack is the truth. ValueError where nothing was seen.
    """
    looks = [seen for seen in stack if seen.s == 0] or ([first] if first and first.s == 0 and not stack else [])
    if looks:
        return StackGain(looks[-1].x, 0.0, float(looks[-1].x > 0))
    if first is None and not stack:
        raise ValueError("a step of which nothing was seen has no gain")
    if not stack or first is None or first.s == 0:
        return _plain(effects.of(pooled(stack or [first])))  # type: ignore[list-item]
    alone = pooled(stack)
    both = pooled([first, alone])
    apart = first.x - alone.x
    spread = first.s**2 + alone.s**2
    same = math.log1p(-CHANGED) + effects.log_density(both) + _log_normal(apart, spread)
    changed = math.log(CHANGED) + effects.log_density(first) + effects.log_density(alone)
    return _mixed(_plain(effects.of(both)), _plain(effects.of(alone)), _share(same - changed))


def pooled(looks: Sequence[Seen]) -> Seen:
    """Several looks at one effect as one, each weighted by its inverse variance."""
    weights = [seen.s**-2 for seen in looks]
    whole = math.fsum(weights)
    return Seen(math.fsum(w * seen.x for w, seen in zip(weights, looks, strict=True)) / whole, 1 / math.sqrt(whole))


def _plain(effect: Effect) -> StackGain:
    return StackGain(effect.mean, effect.variance, effect.real)


def _mixed(one: StackGain, other: StackGain, share: float) -> StackGain:
    """Both readings, of which the first has that share."""
    rest = 1.0 - share
    return StackGain(
        mean=share * one.mean + rest * other.mean,
        variance=share * one.variance + rest * other.variance + share * rest * (one.mean - other.mean) ** 2,
        real=share * one.real + rest * other.real,
    )


def _log_normal(x: float, variance: float) -> float:
    return -0.5 * (x * x / variance + math.log(2 * math.pi * variance))


def _share(odds: float) -> float:
    """The probability of these log odds, however far they go."""
    return 1 / (1 + math.exp(-odds)) if odds > 0 else math.exp(max(odds, -745.0)) / (1 + math.exp(max(odds, -745.0)))
