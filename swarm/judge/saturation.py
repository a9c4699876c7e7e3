"""Whether different edits can be distinguished at all, or all land in the same place.

The task may be too easy, the metric may have reached its floor, or the edits may have no effect on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.judge.noise import pooled

EDITS = 12  # that land together before anybody is warned
SATURATED = (
    f"the last {EDITS} different edits all measure the same within the noise: the task is too easy or saturated, the"
    " budget too short, or the edits have no effect on the metric"
)


def indistinct(gains: Sequence[float], sigma: float | None) -> bool:
    """Whether these gains of different edits over their parents scatter no more than repeats of one code do."""
    spread = pooled([gains])[0]
    return sigma is not None and len(gains) >= EDITS and spread is not None and spread <= sigma
