"""Walks a folder that untrusted code filled: one level at a time, by descriptors, whatever its depth, size and names.

No path is ever longer than one name, no link is followed, nothing is opened but folders, and nothing recurses: a tree
that was made to be walked by nobody costs its caps. Stdlib only, for the guard.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

DEEPEST = 128  # levels of folders that are entered: each keeps a descriptor open while what is below it is walked
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a folder. `folder` is the path from the top to what it is in ("" for the top), `at` a descriptor of
    that, open until the next entry is asked for; a name may hold anything but "/", undecodable bytes as surrogates."""

    name: str
    folder: str
    at: int
    depth: int  # 1 for what is in the top
    status: os.stat_result  # of itself, never of what a link leads to

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}" if self.folder else self.name

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.status.st_mode)


@dataclass(slots=True)
class Unwalked:
    """What a walk left out: how many folders could not be read, and whether there are some below its deepest level."""

    closed: int = 0
    deeper: bool = False


def walk(
    top: Path | str,
    deepest: int = DEEPEST,
    enters: Callable[[Entry], bool] = lambda entry: True,
    unwalked: Unwalked | None = None,
) -> Iterator[Entry]:
    """Everything below `top`, a folder's entries together and sorted, before what is below them. Never raises: what
    is gone meanwhile is left out, and so is what cannot be read, which `unwalked` counts. Nothing below a folder that
    is not to be entered, nor below `deepest` levels."""
    left = Unwalked() if unwalked is None else unwalked
    with contextlib.ExitStack() as stack:
        levels = [_Level(None, "", iter([os.fspath(top)]))]  # folders on the way down, with those in them yet to come
        stack.callback(lambda: [os.close(level.at) for level in levels if level.at is not None])
        while levels:
            above = levels[-1]
            name = next(above.folders, None)
            if name is None:
                levels.pop()
                if above.at is not None:
                    os.close(above.at)
                continue
            if len(levels) > deepest:
                left.deeper = True
                continue
            try:
                here = os.open(name, FOLDER, dir_fd=above.at)
            except OSError as error:
                left.closed += not isinstance(error, (FileNotFoundError, NotADirectoryError))
                continue
            below = _Level(here, above.below(name) if above.at is not None else "", iter(()))
            levels.append(below)
            folders = []
            for entry in _entries(below, len(levels) - 1, left):
                yield entry
                if entry.is_folder and enters(entry):
                    folders.append(entry.name)
            below.folders = iter(sorted(folders))


@dataclass(slots=True)
class _Level:
    """An open folder on the way down; above the top there is none."""

    at: int | None
    path: str
    folders: Iterator[str] = field(repr=False)

    def below(self, name: str) -> str:
        return f"{self.path}/{name}" if self.path else name


def _entries(level: _Level, depth: int, left: Unwalked) -> Iterator[Entry]:
    assert level.at is not None
    try:
        with os.scandir(level.at) as found:
            for entry in found:
                with contextlib.suppress(OSError):  # gone already
                    yield Entry(entry.name, level.path, level.at, depth, entry.stat(follow_symlinks=False))
    except OSError:
        left.closed += 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What is in some folders: MB on disk, how many files and folders, how deep they go. Where `whole` is false there
    is more than was looked at."""

    mb: float = 0.0
    entries: int = 0
    depth: int = 0
    whole: bool = True


def usage(folders: list[str], most: int | None = None) -> Usage:
    """What is in the folders, looked at up to `most` entries. A file with several names counts once, and folders take
    space as well; a tree deeper than DEEPEST says so by its depth."""
    blocks = entries = depth = 0
    linked: set[tuple[int, int]] = set()
    left = Unwalked()
    for folder in folders:
        for entry in walk(folder, unwalked=left):
            entries, depth = entries + 1, max(depth, entry.depth)
            status = entry.status
            if status.st_nlink > 1 and not entry.is_folder:
                if (status.st_dev, status.st_ino) in linked:
                    continue
                linked.add((status.st_dev, status.st_ino))
            blocks += status.st_blocks
            if most is not None and entries > most:
                return Usage(blocks * 512 / 2**20, entries, depth, whole=False)
    return Usage(blocks * 512 / 2**20, entries, DEEPEST + 1 if left.deeper else depth, whole=not left.closed)
