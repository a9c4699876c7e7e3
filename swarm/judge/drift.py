"""Whether the metric moved by itself: the same code at the end of a swarm against its first runs.

Values are sign-normalised: lower is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

ERRORS = 2.0  # standard errors from which on a change is told; one comparison in twenty shows as much by chance


class Drift(Struct, frozen=True):
    """By how much the same code measures better (above 0) or worse than at the beginning, in standard errors too."""

    change: float
    errors: float


def drift(early: Sequence[float], late: Sequence[float], sigma: float | None) -> Drift | None:
    """The change between the first runs of a code and its last; None where it is within the noise, or nobody knows."""
    if not sigma or min(len(early), len(late)) < 2:
        return None
    change = fmean(early) - fmean(late)
    errors = change / (sigma * math.sqrt(1 / len(early) + 1 / len(late)))
    return Drift(change, errors) if abs(errors) > ERRORS else None
