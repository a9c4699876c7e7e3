"""What an edit must be before it may run: a change of editable files, and of nothing else, that parses."""

from __future__ import annotations

from swarm.project import Project
from swarm.records import Edit, Source
from swarm.workshop.workspace import parses


def fault(edit: Edit, parent: Source, project: Project) -> str:
    """Why the edit may not run, in one line for whoever made it; "" where nothing speaks against it."""
    outside = sorted(set(edit.files) - set(project.editable))
    if outside:
        return f"touches {', '.join(outside)}; only {', '.join(project.editable)} may be edited"
    if not all(isinstance(content, bytes) for content in edit.files.values()):
        return "must give the files' content as bytes"
    if all(parent.files.get(path) == content for path, content in edit.files.items()):
        return "changes nothing"
    broken = parses(edit)
    return f"does not parse: {broken}" if broken else ""
