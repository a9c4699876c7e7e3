"""Marks on a value: `*` where the referee did not measure it, `°` where its code ran without a sandbox."""

from __future__ import annotations

from collections.abc import Sequence

from swarm.snapshot.records import ExperimentView

UNAUDITED, UNSANDBOXED = "*", "°"
_LEGEND = {UNAUDITED: "unaudited", UNSANDBOXED: "no sandbox"}


def is_unaudited(experiment: ExperimentView) -> bool:
    """Whether its value is only what its own code printed."""
    return experiment.value is not None and not experiment.audited


def is_unsandboxed(experiment: ExperimentView) -> bool:
    """Whether its code ever ran outside a sandbox on the way to its value."""
    return experiment.value is not None and not experiment.sandboxed


def marks(experiment: ExperimentView) -> str:
    """The marks after its value in a table; "" where the referee measured it and its code ran in a sandbox."""
    return UNAUDITED * is_unaudited(experiment) + UNSANDBOXED * is_unsandboxed(experiment)


def legend(experiments: Sequence[ExperimentView]) -> list[str]:
    """What the marks of these experiments mean."""
    used = {mark for experiment in experiments for mark in marks(experiment)}
    return [f"{mark} {meaning}" for mark, meaning in _LEGEND.items() if mark in used]


def audit_text(audited: bool | None, sandboxed: bool | None) -> str:
    """The same in words: "audited, sandboxed"; "" where nothing was measured."""
    if audited is None:
        return ""
    return f"{'audited' if audited else _LEGEND[UNAUDITED]}, {'sandboxed' if sandboxed else _LEGEND[UNSANDBOXED]}"
