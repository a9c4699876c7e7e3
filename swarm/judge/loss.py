"""Second thoughts: whether a state of the trunk has turned out to be worse than an earlier one.

Values are sign-normalised: lower is better, gains are positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

from swarm.judge.confirm import around

FEWEST = 2  # runs of each state


class Loss(Struct, frozen=True):
    """How much worse the newer state is: the gain of going back, its standard error, and the runs behind it."""

    gain: float
    se: float
    runs: int


def loss(newer: Sequence[float], earlier: Sequence[float], sigma: float | None, df: float = math.inf) -> Loss | None:
    """The loss where even the upper 95% bound of the newer state's gain is below zero; None otherwise.

    Only runs that nobody selected belong here. Those that a state was kept for were better than most of its kind by
    luck: with them a keep would never be undone, and its parent, itself such a keep, would undo it too often.
    """
    if not sigma or min(len(newer), len(earlier)) < FEWEST:
        return None
    gain, se = fmean(earlier) - fmean(newer), sigma * math.sqrt(1 / len(newer) + 1 / len(earlier))
    _, high = around(gain, se, df)
    return Loss(-gain, se, len(newer)) if high < 0 else None
