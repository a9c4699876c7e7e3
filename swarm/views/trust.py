"""Who vouches for a number: whether the referee measured it, and whether the code behind it ran in a sandbox."""

from __future__ import annotations

from collections.abc import Sequence

from swarm.snapshot.records import ExperimentView

UNAUDITED, UNBOXED = "*", "°"
_LEGEND = {UNAUDITED: "unaudited", UNBOXED: "no sandbox"}


def is_unaudited(experiment: ExperimentView) -> bool:
    """Whether its value is only what its own code printed."""
    return experiment.value is not None and not experiment.audited


def is_unboxed(experiment: ExperimentView) -> bool:
    """Whether its code ever ran outside a sandbox on the way to its value."""
    return experiment.value is not None and not experiment.sandboxed


def marks(experiment: ExperimentView) -> str:
    """What stands behind its value in a table; "" where the referee measured it and a sandbox held its code."""
    return UNAUDITED * is_unaudited(experiment) + UNBOXED * is_unboxed(experiment)


def legend(experiments: Sequence[ExperimentView]) -> list[str]:
    """What the marks of these experiments mean."""
    used = {mark for experiment in experiments for mark in marks(experiment)}
    return [f"{mark} {meaning}" for mark, meaning in _LEGEND.items() if mark in used]


def told(audited: bool | None, sandboxed: bool | None) -> str:
    """The same in words: "audited, sandboxed"; "" where nothing was measured."""
    if audited is None:
        return ""
    return f"{'audited' if audited else _LEGEND[UNAUDITED]}, {'sandboxed' if sandboxed else _LEGEND[UNBOXED]}"
