"""The part of the metric's axis that a picture of a swarm shows."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from swarm.snapshot.records import ExperimentView, Snapshot, TrunkView


class Window(Struct, frozen=True):
    """The values worth looking at, around the trunk and the baseline. What lies beyond sits at the edge."""

    low: float
    high: float

    def hold(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def window(snapshot: Snapshot, experiments: Sequence[ExperimentView]) -> Window:
    """The window for a picture of these experiments."""
    measured = [e.value for e in experiments if e.value is not None and not e.quarantine]
    steps = [edge for step in snapshot.trunk if step.value is not None for edge in band(step)]
    anchors = steps + ([snapshot.baseline] if snapshot.baseline is not None else []) or measured or [0.0]
    sigma = snapshot.sigma or 0.0
    span = max(max(anchors) - min(anchors), 6 * sigma, 1e-3 * abs(anchors[0]), 1e-9)
    near = [v for v in measured if min(anchors) - span / 2 <= v <= max(anchors) + span / 2]
    return Window(min(anchors + near) - 0.12 * span, max(anchors + near) + 0.08 * span)


def band(step: TrunkView) -> tuple[float, float]:
    """The 95% interval around a step's value; without width where it is not known."""
    value = step.value or 0.0
    if step.low is None or step.high is None:
        return value, value
    half = (step.high - step.low) / 2
    return value - half, value + half
