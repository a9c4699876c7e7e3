"""The patterns in `editable` and `fixed`: a file, a folder, which stands for all files in it, or a glob.

`*`, `?` and `[...]` stop at a slash, `**` does not. A glob that matches a folder stands for all files in it, too.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_EXACT = 1000  # deeper than any folder is
_LONGEST = 255  # bytes of a name, on any file system


@dataclass(frozen=True, slots=True)
class Scope:
    """Which files an edit may change or make, as patterns: of `editable` and `fixed` the more precise one decides."""

    editable: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    def may_edit(self, path: str) -> bool:
        return is_proper(path) and rank(path, self.editable) > rank(path, self.fixed)


def read_scope(options: Mapping[str, str]) -> Scope:
    """The scope as researchers are told it: patterns, a line each, under `editable` and `fixed`."""
    lines = (tuple(filter(None, options.get(name, "").split("\n"))) for name in ("editable", "fixed"))
    return Scope(*lines)


def open_places(scope: Scope, files: Container[str]) -> list[str]:
    """Globs that match where new files may be made; `files` are the editable ones that are there."""
    new = [pattern for pattern in scope.editable if pattern not in files]
    return [pattern if is_glob(pattern) else "**" if pattern == "." else f"{pattern}/**" for pattern in new]


def is_proper(path: str) -> bool:
    """Whether a new file may have this path: relative, normal, not in a .git folder, and every file system takes it."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and "/".join(parts) == path
        and parts[0] != "/"
        and path.isprintable()
        and not any(part == ".." or part.lower() == ".git" or len(part.encode()) > _LONGEST for part in parts)
    )


def rank(path: str, patterns: Iterable[str]) -> int:
    """How precisely one of the patterns names the path: by itself, else by how deep a folder; -1 where none does."""
    return max((_rank(path, pattern) for pattern in patterns), default=-1)


def is_glob(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def folder_of(pattern: str) -> str:
    """The folder below which all lies that a glob can match; "" for the project's own."""
    parts = pattern.split("/")
    plain = next((place for place, part in enumerate(parts) if is_glob(part)), len(parts))
    return "/".join(parts[:plain])


def _rank(path: str, pattern: str) -> int:
    if path == pattern:
        return _EXACT
    if pattern == ".":
        return -1 if path.startswith("../") else 0
    if path.startswith(f"{pattern}/"):
        return pattern.count("/") + 1
    if path.startswith("../") and not pattern.startswith("../"):
        return -1
    if not is_glob(pattern) or not _expression(pattern).match(path):
        return -1
    folder = folder_of(pattern)
    return folder.count("/") + 1 if folder else 0


@functools.lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    """Matches a path that the glob matches, or that lies below one."""
    words = []
    for part in re.findall(r"\*\*/|\*\*|\*|\?|\[(?:[!^]|(?![!^]))[^/][^]/]*\]|.", pattern, re.DOTALL):
        match part:
            case "**/":
                words.append("(?:[^/]+/)*")
            case "**":
                words.append(".*")
            case "*":
                words.append("[^/]*")
            case "?":
                words.append("[^/]")
            case _ if len(part) > 2 and part[0] == "[":
                inverse, letters = ("^/", part[2:-1]) if part[1] in "!^" else ("", part[1:-1])
                words.append("[" + inverse + re.sub(r"([\\\[\]^&~|])", r"\\\1", letters) + "]")
            case _:
                words.append(re.escape(part))
    try:
        return re.compile("".join(words) + "(?:/.*)?\\Z", re.DOTALL)
    except re.error:  # a range such as [z-a]: it matches nothing, and whoever expands it says so
        return re.compile(r"(?!)")
