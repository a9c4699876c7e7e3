"""Contention: whoever shares a machine makes fewer steps in the same time, and measures worse for it.

Steps are compared between runs of the same code only: that an edit makes fewer of them is its own affair.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from swarm.judge import student
from swarm.judge.noise import pooled

USUAL = 0.01  # of the steps: what repeats of the same code may always be off
RARE = 0.999  # one-sided: and what they are off by chance once in a thousand times, as far as that is known
RERUNS = 2  # of one run
SHARE = 0.05  # of a swarm's runs may be reruns


def bound(repeats: Iterable[Sequence[float]], others: int = 1) -> float:
    """How far a run's ln(steps) may lie below that of so many `others` of its code on the same GPU.

    `repeats` are the steps of runs of the same code on the same GPU. Where a budget is counted in CPU time they
    scatter by more than a hundredth, and while there are few of them nobody knows how much is normal.
    """
    deviation, df = pooled([[math.log(steps) for steps in runs] for runs in repeats])
    if deviation is None:
        return math.inf
    return max(USUAL, student.quantile(df, RARE) * deviation * math.sqrt(1 + 1 / others))


def slowed(steps: float, others: Sequence[float], allowed: float) -> bool:
    """Whether a run made fewer steps than the `others` of its code did, by more than is normal."""
    return bool(others) and math.log(median(others) / steps) > allowed


def affordable(reruns: int, spent: int, runs: int) -> bool:
    """Whether a run that was made again `reruns` times may be so once more, where the swarm made `spent` of `runs`
    again for that reason."""
    return reruns < RERUNS and spent < max(1, SHARE * runs)
