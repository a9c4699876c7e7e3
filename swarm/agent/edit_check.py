"""Checks an edit before it runs: it changes editable files and nothing else, parses, and does not cheat
(cheat_check.py)."""

from __future__ import annotations

from pathlib import PurePosixPath

from msgspec.structs import replace

from swarm.agent.cheat_check import new_fault
from swarm.execution.workspace import parses
from swarm.project.project import Project
from swarm.records import Edit, Source
from swarm.text import written_like


def as_written(edit: Edit, parent: Source) -> Edit:
    """The edit with each file in the encoding and with the line ends that the parent's has."""
    known = {path: new for path, new in edit.files.items() if path in parent.files and isinstance(new, bytes)}
    return replace(
        edit, files={**edit.files, **{path: written_like(parent.files[path], new) for path, new in known.items()}}
    )


def fault(edit: Edit, parent: Source, project: Project) -> str:
    """Why the edit may not run, in one line for its researcher; "" where it may."""
    if edit.deleted:
        return f"deletes {', '.join(edit.deleted)}; editable files may be changed, not deleted or replaced by links"
    outside = sorted(path for path in edit.files if not project.may_edit(path))
    if outside:
        return f"touches {', '.join(outside)}; only {', '.join(project.editable)} may be edited"
    if clash := _clash(edit, parent, project):
        return f"makes {clash}, where a file and a folder would have one name"
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


def _clash(edit: Edit, parent: Source, project: Project) -> str:
    """A new file that is a folder already, or in a folder that is a file; "" where there is none."""
    new = sorted(path for path in edit.files if path not in parent.files)
    if not new:
        return ""
    files = {*edit.files, *parent.files}
    folders = {str(folder) for path in (*files, *project.fixed) for folder in PurePosixPath(path).parents}
    return next((path for path in new if path in folders or files & set(map(str, PurePosixPath(path).parents))), "")
