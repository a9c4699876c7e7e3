"""Whether edited code can read what it is measured on: then the number only shows that the swarm works."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from swarm.execution.sandbox.held_out import cache_of, held_out_of
from swarm.execution.sandbox.held_out_text import SOURCES, Origin, read
from swarm.execution.sandbox.sandbox import wanted
from swarm.project.project import Project

WORD = "demonstration only"  # what such a number is called, everywhere


def demonstration(project: Project, data: Mapping[str, object], root: Path, held: Collection[str], sandbox: str) -> str:
    """Why the text that edited code is measured on cannot be closed to it, in a few words; "" where it is closed, or
    the project holds nothing out. `held` are the paths below `root` that the commit holds, `sandbox` is the mode."""
    if not project.held_out or not data:
        return ""
    if not wanted(sandbox):
        return "without a sandbox edited code can read the held-out text"
    if data.get("sources", 0) is None:
        again = f"`{project.prepare}`" if project.prepare else "prepare it anew"
        return f"nobody wrote down where the held-out text was read: {again} does"
    try:
        origins = [read(path) for path in _lists(project, data, root)]
    except (OSError, ValueError, KeyError, TypeError):
        return "the list of what the held-out text was read from is damaged"
    needed = (root, cache_of(os.environ))
    return next((why for origin in origins if (why := _open(origin, root, held, needed))), "")


def _lists(project: Project, data: Mapping[str, object], root: Path) -> list[Path]:
    found = held_out_of(project, os.environ, root)
    return [path for path in found if path.name.endswith(SOURCES) and path.parent.name == data.get("key")]


def _open(origin: Origin, root: Path, held: Collection[str], needed: tuple[Path, ...]) -> str:
    if not origin.own(needed) and origin.files and (origin.root / origin.files[0].path).exists():
        return f"{len(origin.files)} files of held-out text lie in {origin.root}, where runs need others"
    for file in origin.files:
        path = origin.root / file.path
        if path.is_relative_to(root) and path.relative_to(root).as_posix() in held:
            return f"{path.relative_to(root)} holds held-out text, and is in the commit that every run gets"
    return ""
