"""Which numbers are the same but for the last digits that floating-point arithmetic leaves open."""

from __future__ import annotations

import math
from collections.abc import Sequence

EPSILON = 1e-12  # relative: sums in another order differ by about 1e-15, and no real gain is so small


def same(a: float, b: float) -> bool:
    """Whether two numbers differ by no more than rounding. Beside zero only zero is the same: nothing is too small."""
    return math.isclose(a, b, rel_tol=EPSILON, abs_tol=0.0)


def gain_over(parent: float, candidate: float) -> float:
    """The gain of a candidate's mean over its parent's, lower being better; exactly 0 where only rounding differs."""
    return 0.0 if same(parent, candidate) else parent - candidate


def all_same(values: Sequence[float]) -> bool:
    """Whether all of these numbers are the same."""
    return same(min(values), max(values))
