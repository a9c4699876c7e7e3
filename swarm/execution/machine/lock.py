"""A file lock between all processes of a host, whoever their user is. Stdlib only, for the guard."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from swarm.filelock import take


class HostLock:
    """An flock on a file in a folder that is shared like /tmp. The kernel releases it when its process ends."""

    def __init__(self, path: Path) -> None:
        """Opens the file, and creates it and its folder where they are missing; OSError where that is refused."""
        self._path = path
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir()
            path.parent.chmod(0o1777)
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags | os.O_CREAT | os.O_EXCL)
            os.fchmod(self._file, 0o666)
        except FileExistsError:  # a second open, as in a sticky folder O_CREAT on another user's file is refused
            self._file = os.open(path, flags)

    def take(self, holder: str) -> bool:
        """Takes the lock if it is free, and writes `holder` into the file; whether it was. UsageError where the place
        has no locks."""
        if not take(self._file, self._path):
            return False
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, holder.encode(), 0)
        return True

    def holder(self) -> str:
        """Who holds it, as written by the holder."""
        return os.pread(self._file, 200, 0).decode(errors="replace").strip()
