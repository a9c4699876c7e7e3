"""Makes the code that a line comes to without some of its steps, with git's own three-way merge."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from swarm.agent.edit_check import fault
from swarm.agent.merge import merge
from swarm.project.project import Project
from swarm.records import Source


@dataclass(frozen=True, slots=True)
class LineCode:
    """One step of a line: its experiment, and the code before and after it."""

    name: str
    before: Source
    after: Source


def leave_out(line: Sequence[LineCode], wanted: Collection[str]) -> tuple[Source, tuple[str, ...]]:
    """The code without the `wanted` steps, and the names of all that it lacks, oldest first: a step that changes the
    same lines as one that goes, goes with it. The line is not empty, oldest step first."""
    made, gone = line[0].before, list[str]()
    for step in line:
        merged = None if step.name in wanted else merge(step.before, step.after, made)
        if merged is None:
            gone.append(step.name)
        else:
            made = merged
    return made, tuple(gone)


def refused(made: Source, full: Source, project: Project) -> str:
    """Why the code may not run, by the checks that every edit passes; "" where it may, or is the full one."""
    if made.files == full.files:
        return ""
    edit = made.edit_from(full)
    return fault(edit, full, project) if edit.files else ""
