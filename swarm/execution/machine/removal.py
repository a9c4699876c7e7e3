"""Removes what a run left, whatever that is: too deep for any path, without permissions, immutable, mounted, changing.

Folders are emptied by descriptors; a folder with something in it is moved up beside the others and emptied in its turn,
so that no depth needs a long path, a recursion or many descriptors. What cannot be removed at all, or not in time, is
renamed aside, and its place is free all the same. Stdlib only, for the guard.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import stat
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from swarm.execution.machine.folder_walk import FOLDER

ASIDE = ".aside-"  # how the name of what was renamed aside begins, beside where it was
PATIENCE = 120.0  # seconds after which what is left of a folder is renamed aside: millions of files

_GET_FLAGS, _SET_FLAGS, _FIXED = 0x80086601, 0x40086602, 0x10 | 0x20  # of ioctl_iflags(2): immutable, append only
_DETACH, _NO_FOLLOW = 2, 8  # of umount2(2)


def remove(path: Path, patience: float = PATIENCE) -> None:
    """Removes a file, a link (not followed) or a folder with all that is in it; nothing where there is nothing.

    Raises:
        OSError: it could neither be removed nor renamed.
    """
    remaining = _remove(path, patience)
    if remaining is not None:
        path.rename(path.with_name(f"{ASIDE}{path.name[:100]}-{os.urandom(4).hex()}"))


def remove_for_good(path: Path) -> str:
    """Removes it however long that takes, and renames nothing: why something of it is left, or ""."""
    remaining = _remove(path, float("inf"))
    return "" if remaining is None else f"{remaining.strerror or remaining}"


def remove_set_aside(folder: Path, patience: float = PATIENCE) -> None:
    """Tries once more to remove what was renamed aside in `folder`."""
    with contextlib.suppress(OSError):
        for path in [path for path in folder.iterdir() if path.name.startswith(ASIDE)]:
            _remove(path, patience)


def _remove(path: Path, patience: float) -> OSError | None:
    """None where nothing is left of it, else what was in the way."""
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        _unfix(parent)
        _unmount(path)
        return _Removal(parent, time.monotonic() + patience).remove(path.name)
    except OSError as error:
        return error
    finally:
        os.close(parent)


class _Removal:
    """The removal of one entry of the open folder `parent`."""

    def __init__(self, parent: int, deadline: float) -> None:
        self._parent, self._deadline = parent, deadline
        self._names = (f"{ASIDE}{os.urandom(6).hex()}-{number}" for number in itertools.count())
        self._problem: OSError | None = None

    def remove(self, name: str) -> OSError | None:
        try:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=self._parent).st_mode):
                self._unlink(self._parent, name)
                return self._problem
            top = self._enter(self._parent, name)
        except FileNotFoundError:
            return None
        _unfix(top)  # else it could not even be renamed
        try:
            self._empty(top)
        finally:
            os.close(top)
        if self._problem is None:
            self._rmdir(self._parent, name)
        return self._problem

    def _empty(self, top: int) -> None:
        """Empties the folder: first itself, then each folder that is in it, whose own come to lie in it then."""
        waiting: deque[str] = deque()
        self._clear(top, top, waiting)
        while waiting and self._problem is None:
            name = waiting.popleft()
            with contextlib.suppress(FileNotFoundError):
                here = self._enter(top, name)
                try:
                    self._clear(here, top, waiting)
                finally:
                    os.close(here)
                self._rmdir(top, name)

    def _clear(self, here: int, top: int, waiting: deque[str]) -> None:
        """Removes all files in a folder; its folders are removed where they are empty, else moved to the top to wait.
        Until a look finds nothing new: what is removed meanwhile may hide other entries from a look."""
        known: set[str] = set()
        new = True
        while new and self._problem is None:
            new = False
            with os.scandir(here) as found:
                for entry in found:
                    if entry.name in known:
                        continue
                    if self._problem is not None:
                        return
                    if time.monotonic() > self._deadline:
                        raise TimeoutError(errno.ETIMEDOUT, "it holds too much to be removed at once")
                    new = True
                    if not entry.is_dir(follow_symlinks=False):
                        self._unlink(here, entry.name)
                    elif _rmdir_empty(here, entry.name):
                        pass
                    elif here == top:
                        known.add(entry.name)
                        waiting.append(entry.name)
                    else:
                        waiting.append(moved := next(self._names))
                        self._move(here, entry.name, top, moved)

    def _enter(self, at: int, name: str) -> int:
        """The folder, opened, with all rights for its owner."""
        try:
            here = os.open(name, FOLDER, dir_fd=at)
        except PermissionError:
            _allow(at, name)
            here = os.open(name, FOLDER, dir_fd=at)
        if os.fstat(here).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            try:
                os.fchmod(here, stat.S_IRWXU)
            except PermissionError:
                _unfix(here)
                os.fchmod(here, stat.S_IRWXU)
        return here

    def _unlink(self, at: int, name: str) -> None:
        with self._noted():
            try:
                os.unlink(name, dir_fd=at)
            except PermissionError:
                _unfix(at)
                _unfix_entry(at, name)
                os.unlink(name, dir_fd=at)

    def _rmdir(self, at: int, name: str) -> None:
        with self._noted():
            try:
                os.rmdir(name, dir_fd=at)
            except PermissionError:
                _unfix(at)
                _unfix_entry(at, name)
                os.rmdir(name, dir_fd=at)

    def _move(self, here: int, name: str, top: int, moved: str) -> None:
        """To another folder it moves only where its owner may write to it."""
        with self._noted():
            try:
                os.rename(name, moved, src_dir_fd=here, dst_dir_fd=top)
            except PermissionError:
                _unfix(here)
                os.close(self._entered(here, name))
                os.rename(name, moved, src_dir_fd=here, dst_dir_fd=top)

    def _entered(self, at: int, name: str) -> int:
        here = self._enter(at, name)
        _unfix(here)
        return here

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Goes on where the entry is gone; what else is in the way ends the removal."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            self._problem = error


def _rmdir_empty(at: int, name: str) -> bool:
    """Removes a folder if that is as easy as it looks; whether it was."""
    try:
        os.rmdir(name, dir_fd=at)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _allow(at: int, name: str) -> None:
    """Gives a folder's owner all rights to it; never through a link, which somebody may have put in its place."""
    if not hasattr(os, "O_PATH"):  # macOS
        os.chmod(name, stat.S_IRWXU, dir_fd=at, follow_symlinks=False)
        return
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(stat.S_IRWXU)
    finally:
        os.close(handle)


def _unfix_entry(at: int, name: str) -> None:
    """Takes the attributes away that keep a file or folder from being removed."""
    with contextlib.suppress(OSError):
        if stat.S_IFMT(os.lstat(name, dir_fd=at).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            return
        entry = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        try:
            _unfix(entry)
        finally:
            os.close(entry)


def _unfix(descriptor: int) -> None:
    """The same of what is open. Only who may set these attributes can take them away; there is nothing to it else."""
    with contextlib.suppress(OSError):
        if sys.platform == "darwin":
            ctypes.CDLL(None).fchflags(descriptor, 0)
            return
        import fcntl

        flags = struct.unpack("@l", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(struct.calcsize("@l"))))[0]
        if flags & _FIXED:
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("@l", flags & ~_FIXED))


def _unmount(path: Path) -> None:
    """Detaches what is mounted at or below `path`: what lies there is not the run's. OSError where that is refused."""
    if sys.platform != "linux":
        return
    here = os.path.realpath(path.parent) + "/" + path.name
    for point in sorted(_mount_points(), key=len, reverse=True):
        if point == os.fsencode(here) or point.startswith(os.fsencode(here) + b"/"):
            system = ctypes.CDLL(None, use_errno=True)
            if system.umount2(point, _DETACH | _NO_FOLLOW) != 0:
                number = ctypes.get_errno()
                raise OSError(number, f"something is mounted in it: {os.strerror(number)}")


def _mount_points() -> list[bytes]:
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return []
    points = [line.split(b" ")[4] for line in lines if line.count(b" ") > 4]
    return [point.replace(b"\\040", b" ").replace(b"\\011", b"\t").replace(b"\\012", b"\n").replace(b"\\134", b"\\")
            for point in points]  # fmt: skip
