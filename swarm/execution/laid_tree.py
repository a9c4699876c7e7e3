"""A folder that a tree was laid out in: what a run left as it was, told from all else, so that only this is made again.

A repository has a thousand files, and a run changes none or a few of them. Something is as it was where the kernel's
stamp of it is the same to the last bit (any write, link, attribute or time that is set moves its ctime, which nobody
can set), and where it also holds what it should, as not every file system notes what is written through memory.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from swarm.execution.base_tree import Member
from swarm.execution.machine.plain_file import read_plain_file
from swarm.execution.machine.removal import remove

BEFORE = ".before"  # what the name of a folder gets while what it held is moved back

# All that `lstat` tells of an entry but when it was read last.
Stamp = tuple[int, int, int, int, int, int, int, int, int]


class LaidTree:
    """The folder, and how its entries were when it was laid out last; at first nothing is known of it."""

    def __init__(self, folder: Path, tree: Mapping[str, Member]) -> None:
        self.folder, self._tree = folder, tree
        self._before = folder.with_name(folder.name + BEFORE)
        self._stamps: dict[str, Stamp] = {}

    def lay(self) -> None:
        """The folder with the tree, and with nothing else in it. OSError where that cannot be done."""
        kept = self._unchanged() if self._stamps else set[str]()
        self._stamps = {}
        remove(self._before)
        if kept:
            self.folder.rename(self._before)
        else:
            remove(self.folder)
        self.folder.mkdir(parents=True)
        moved = set[str]()  # folders that came as a whole
        for path, member in self._tree.items():
            if posixpath.dirname(path) in moved:
                moved.add(path)
            elif path in kept:
                (self._before / path).rename(self.folder / path)
                if member.is_folder:
                    moved.add(path)
            else:
                member.make(self.folder / path)
        remove(self._before)

    def remember(self, others: Collection[str]) -> None:
        """Takes down how everything is now; what is at the paths `others` was put there beside the tree, and is made
        anew the next time. When a file was read last is made the same for all: it could tell the next run something."""
        self._stamps = {}
        for folder, folders, files in os.walk(self.folder, topdown=False):
            links = (name for name in folders if Path(folder, name).is_symlink())  # folders have had their turn
            for place in (*(posixpath.join(folder, name) for name in (*files, *links)), folder):
                status = os.lstat(place)
                if status.st_atime_ns != status.st_mtime_ns:
                    os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
                    status = os.lstat(place)
                self._stamps[posixpath.relpath(place, self.folder)] = _stamp(status)
        for path in others:
            self._stamps.pop(posixpath.normpath(path), None)

    def _unchanged(self) -> set[str]:
        """Paths of files and links that are as they were, and of folders in which all is."""
        kept = set[str]()
        try:
            if stat.S_ISDIR(os.lstat(self.folder).st_mode):
                self._look("", kept)
        except OSError:  # closed, or gone while it was looked at: all is made anew
            return set()
        return kept

    def _look(self, folder: str, kept: set[str]) -> bool:
        """Whether all in a folder, and the folder itself, is as it was; notes what is."""
        same = self._stamps.get(folder or ".") == _stamp(os.lstat(self.folder / folder))
        with os.scandir(self.folder / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = f"{folder}/{entry.name}" if folder else entry.name
                member, before = self._tree.get(path), self._stamps.get(path)
                status = entry.stat(follow_symlinks=False)
                if member is None or before is None:
                    same = False
                elif member.is_folder and stat.S_ISDIR(status.st_mode):
                    same = self._look(path, kept) and same
                elif _stamp(status) == before and _holds(self.folder / path, member):
                    kept.add(path)
                else:
                    same = False
        if same and folder:
            kept.add(folder)
        return same


def _stamp(status: os.stat_result) -> Stamp:
    return (
        *(status.st_mode, status.st_dev, status.st_ino, status.st_nlink, status.st_uid, status.st_gid),
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns),
    )  # fmt: skip


def _holds(place: Path, member: Member) -> bool:
    """Whether a file or link is what the tree says, to the last byte."""
    if member.target is not None:
        return place.readlink() == Path(member.target)
    assert member.content is not None
    return read_plain_file(place, len(member.content)) == member.content
