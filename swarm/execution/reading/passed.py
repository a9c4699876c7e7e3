"""Keeps the values of variables that runs get by name out of what is recorded of a run: everybody is shown that."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from swarm.execution.reading.printed_value import Value
from swarm.project.project import Project
from swarm.records import Run

SHORTEST = 8  # characters of a value that may be a key


def passed_values(project: Project, environment: Mapping[str, str]) -> list[str]:
    """The values of the project's `pass_env` that may be keys, the longest first."""
    values = {environment.get(name, "") for name in project.pass_env}
    return sorted(filter(lambda value: len(value) >= SHORTEST, values), key=len, reverse=True)


def run_without(passed: Collection[str], run: Run) -> Run:
    """The run without these values, in its reason and its numbers' names and texts, whoever said them: its log was read
    without them."""
    if not passed:
        return run

    def clean(value: Value) -> Value:
        return without(passed, value) if isinstance(value, str) else value

    metrics = run.metrics
    if metrics:
        values = {without(passed, name): clean(value) for name, value in metrics.values.items()}
        metrics = replace(metrics, values=values)
    return replace(run, metrics=metrics, reason=without(passed, run.reason))


def without(passed: Collection[str], text: str) -> str:
    """The text without these values."""
    for value in passed:
        text = text.replace(value, "[passed variable]")
    return text
