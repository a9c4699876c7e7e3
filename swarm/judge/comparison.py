"""What a paper says of two arms that ran on the same seeds: means, a paired interval, and two paired tests.

Values are sign-normalised: lower is better, gains are positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from msgspec import Struct

from swarm.judge import student
from swarm.judge.confirm import around
from swarm.judge.rounding import gain_over


class Comparison(Struct, frozen=True):
    """A candidate beside its rival, pair by pair. The interval is the 95% one of the gain; p-values are two-sided."""

    pairs: int
    mean: float
    std: float
    rival_mean: float
    rival_std: float
    gain: float
    low: float
    high: float
    t_p: float
    wilcoxon_p: float

    @property
    def outcome(self) -> str:
        """better or worse where the interval excludes no gain at all, else inconclusive."""
        if self.low <= 0 <= self.high:
            return "inconclusive"
        return "better" if self.gain > 0 else "worse"


def compare(candidate: Sequence[float], rival: Sequence[float]) -> Comparison:
    """The comparison of two arms, of which run k of each had the same seed on the same GPU. Needs two pairs."""
    if len(candidate) != len(rival) or len(candidate) < 2:
        raise ValueError("a comparison needs two or more pairs")
    gains = [gain_over(theirs, ours) for ours, theirs in zip(candidate, rival, strict=True)]
    gain, se = fmean(gains), stdev(gains) / math.sqrt(len(gains))
    low, high = around(gain, se, len(gains) - 1)
    return Comparison(
        len(gains), fmean(candidate), stdev(candidate), fmean(rival), stdev(rival), gain, low, high,
        _paired_t(gain, se, len(gains) - 1), _wilcoxon(gains),
    )  # fmt: skip


def _paired_t(gain: float, se: float, df: int) -> float:
    """As `scipy.stats.ttest_rel`, which has no answer where every pair differs by the same."""
    if se == 0:
        return float(gain == 0)
    return 2 * student.cdf(df, -abs(gain) / se)


def _wilcoxon(gains: Sequence[float]) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(gains)[1]) if any(gains) else 1.0  # type: ignore[index]
