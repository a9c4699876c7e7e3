"""A repository's files as text."""

from __future__ import annotations

from pathlib import Path

from swarm.text import read_text

LONGEST_NAME = 255  # bytes of a name in a folder: the system refuses to look for a longer one
_LARGEST = 2_000_000  # bytes: what is larger was not written by hand


def text_of(path: Path) -> str:
    """The text of a file, in whatever encoding; "" for what is no file, cannot be read, or is too large for a text."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return ""
        return read_text(path.read_bytes()).text
    except OSError:
        return ""


def inside(root: Path, path: Path) -> str | None:
    """The path as the repository names it; None for what lies outside of it."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except (ValueError, OSError, RuntimeError):
        return None
