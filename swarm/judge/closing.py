"""The closing wave: fresh runs of champion and baseline, whose mean is the swarm's headline, never its luckiest run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

from swarm.judge.confirm import around
from swarm.judge.noise import pooled
from swarm.judge.rounding import gain_over

CLOSING_RUNS = 8  # of the champion, and as many of the baseline


class Headline(Struct, frozen=True):
    """The swarm in two numbers, each with its 95% interval: the champion's mean, and its gain over the baseline."""

    mean: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    n: int
    m: int


def closing_runs(bounds: tuple[int, int], part: int, measured: int) -> int:
    """How many closing runs each of leader and baseline gets: one in so many of the swarm's runs, within bounds."""
    fewest, most = bounds
    return max(fewest, min(most, measured // part))


def headline(
    champion: Sequence[float], baseline: Sequence[float], sigma: float | None, df: float = math.inf
) -> Headline | None:
    """What the closing runs say, sign-normalised (lower is better). None where they give no interval.

    Without noise the interval is the number itself.
    """
    if sigma is None:
        sigma, df = pooled((champion, baseline))
    if sigma is None or not champion or not baseline:
        return None
    n, m = len(champion), len(baseline)
    mean, gain = fmean(champion), gain_over(fmean(baseline), fmean(champion))
    low, high = around(mean, sigma / math.sqrt(n), df)
    gain_low, gain_high = around(gain, sigma * math.sqrt(1 / n + 1 / m), df)
    return Headline(mean, low, high, gain, gain_low, gain_high, n, m)
