"""Checks an edit before it runs: it changes editable files and nothing else, parses, and does not cheat
(cheat_check.py)."""

from __future__ import annotations

from swarm.agent.cheat_check import new_fault
from swarm.execution.workspace import parses
from swarm.project.project import Project
from swarm.records import Edit, Source
from swarm.text import written_like


def as_written(edit: Edit, parent: Source) -> Edit:
    """The edit with each file in the encoding and with the line ends that the parent's has."""
    return Edit(
        {
            path: written_like(parent.files[path], content)
            if path in parent.files and isinstance(content, bytes)
            else content
            for path, content in edit.files.items()
        }
    )


def fault(edit: Edit, parent: Source, project: Project) -> str:
    """Why the edit may not run, in one line for its researcher; "" where it may."""
    outside = sorted(set(edit.files) - set(project.editable))
    if outside:
        return f"touches {', '.join(outside)}; only {', '.join(project.editable)} may be edited"
    if not all(isinstance(content, bytes) for content in edit.files.values()):
        return "must give the files' content as bytes"
    if all(parent.files.get(path) == content for path, content in edit.files.items()):
        return "changes nothing"
    broken = parses(edit)
    if broken:
        return f"does not parse: {broken}"
    for path, content in edit.files.items():
        if path.endswith(".py") and (cheat := new_fault(parent.files.get(path, b""), content)):
            return f"is refused by a check of {path}: {cheat}"
    return ""
