"""Keeps the values of variables that runs get by name out of what is recorded of a run: everybody is shown that."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from swarm.project.project import Project

SHORTEST = 8  # characters of a value that may be a key


def passed_values(project: Project, environment: Mapping[str, str]) -> list[str]:
    """The values of the project's `pass_env` that may be keys, the longest first."""
    values = {environment.get(name, "") for name in project.pass_env}
    return sorted(filter(lambda value: len(value) >= SHORTEST, values), key=len, reverse=True)


def without(passed: Collection[str], text: str) -> str:
    """The text without these values."""
    for value in passed:
        text = text.replace(value, "[passed variable]")
    return text
