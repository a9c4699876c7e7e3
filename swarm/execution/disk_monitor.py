"""Watches what a step puts on disks: in its folders, in files without a name, and what is left free. Stdlib only."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable

from swarm.execution.folder_walk import DEEPEST, usage
from swarm.execution.held_files import disk_writes_mb, held_files
from swarm.execution.spec import EndedBy, Step

RESERVE = 500.0  # MB of a disk that a run must leave free
INTERVAL, SHARE = 1.0, 0.1  # seconds between two looks, and at most this share of the time is spent on looking


class DiskMonitor:
    """The disk usage of one step, compared with how it was when this was made. `memory` are devices in memory.

    What cannot be seen (a folder without permissions, a process that hides its files) counts by how much less is free,
    as far as the step's processes can have written it.
    """

    def __init__(self, step: Step, memory: set[int]) -> None:
        self.written_mb = 0.0
        self._step, self._memory = step, memory
        self._before = usage(step.folders)
        self._free_before = free_mb(step.folders)
        self._was_full = self._free_before < RESERVE  # before the step wrote anything: not its fault
        self._writes: float | None = 0.0
        self._writes_before = disk_writes_mb([os.getpid()]) or 0.0
        self._next = 0.0

    def exceeded(self, pids: Collection[int], now: bool = False) -> EndedBy | None:
        """The first limit that is exceeded, looked at when it is time to, or `now`."""
        started = time.monotonic()
        if started < self._next and not now:
            return None
        try:
            return self._look(pids)
        finally:
            ended = time.monotonic()
            self._next = ended + max(INTERVAL, (ended - started) / SHARE)

    def _look(self, pids: Collection[int]) -> EndedBy | None:
        step, before = self._step, self._before
        found = usage(step.folders, None if step.entries is None else before.entries + step.entries)
        if step.entries is not None and found.entries > before.entries + step.entries:
            return EndedBy.FILES
        if found.depth > DEEPEST >= before.depth:
            return EndedBy.DEPTH
        held = held_files(pids, self._memory)
        self._count_writes(pids)
        lost = max(0.0, self._free_before - (free := free_mb(step.folders)))
        theirs = lost if self._writes is None else min(lost, self._writes)
        written = found.mb - before.mb + sum(file.mb for file in held.on_disk.values())
        if not (found.whole and held.whole):
            written = max(written, theirs)
        self.written_mb = max(self.written_mb, written)
        if step.disk and written > step.disk:
            return EndedBy.DISK
        if self._was_full or free >= RESERVE:
            return None
        self.written_mb = max(self.written_mb, theirs)
        return EndedBy.FILLED if max(written, theirs) >= lost / 2 else EndedBy.FULL

    def _count_writes(self, pids: Iterable[int]) -> None:
        """What processes wrote that ended meanwhile was counted while they lived, or by who waited for them."""
        now = disk_writes_mb((*pids, os.getpid()))
        if now is None or self._writes is None:
            self._writes = None
        else:
            self._writes = max(self._writes, now - self._writes_before)


def free_mb(folders: Iterable[str]) -> float:
    """Free disk space in MB where these folders are, for a user without privileges; infinite where there are none."""
    free = float("inf")
    for folder in folders:
        with contextlib.suppress(OSError):
            status = os.statvfs(folder)
            free = min(free, status.f_bavail * status.f_frsize / 2**20)
    return free
