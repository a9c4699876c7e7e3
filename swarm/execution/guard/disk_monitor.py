"""Watches what a step puts on disks: in its folders, in files without a name, and what is left free. Stdlib only."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Collection, Iterable

from swarm.execution.machine.folder_walk import DEEPEST, usage
from swarm.execution.machine.held_files import disk_writes_mb, held_files
from swarm.execution.spec import EndedBy, Step

RESERVE = 500.0  # MB of a disk that a run must leave free
LONG_HIDDEN = 3  # looks in a row, from which on files that cannot be seen lie there and are not only on their way
INTERVAL, SHARE = 1.0, 0.1  # seconds between two looks, and at most this share of the time is spent on looking


class DiskMonitor:
    """The disk usage of one step, compared with how it was when this was made. `memory` are devices in memory.

    What cannot be seen (a folder without permissions, a process that hides its files) counts by how much less is free,
    as far as the step's processes can have written it; and all of it where the disk is full and they go on hiding.
    """

    def __init__(self, step: Step, memory: set[int]) -> None:
        self.written_mb = 0.0
        self._step, self._memory = step, memory
        self._before = usage(step.folders)
        self._free_before = {place: free_mb(place) for place in _disks((*step.folders, tempfile.gettempdir()), memory)}
        self._writes: float | None = 0.0
        self._writes_before = disk_writes_mb([os.getpid()]) or 0.0
        self._hidden = 0  # looks in a row that did not see everything
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
        lost, full = self._lost()
        found = usage(step.folders, None if step.entries is None else before.entries + step.entries)
        if step.entries is not None and found.entries > before.entries + step.entries:
            return EndedBy.FILES
        if found.depth > DEEPEST >= before.depth:
            return EndedBy.DEPTH
        held = held_files(pids, self._memory)
        self._count_writes(pids)
        if full:  # also now: what came or went while this looked would be nobody's
            lost, full = self._lost()
        theirs = lost if self._writes is None else min(lost, self._writes)
        written = found.mb - before.mb + sum(file.mb for file in held.on_disk.values())
        hidden = not (found.whole and held.whole)
        self._hidden = self._hidden + 1 if hidden else 0
        if hidden:
            written = max(written, theirs)
        self.written_mb = max(self.written_mb, written)
        if step.disk and written > step.disk:
            return EndedBy.DISK
        if not full or (hidden and pids and self._hidden < LONG_HIDDEN):
            return None
        if hidden:  # also what was taken and never written
            theirs = lost
        self.written_mb = max(self.written_mb, theirs)
        return EndedBy.FILLED if max(written, theirs) >= lost / 2 else EndedBy.FULL

    def _lost(self) -> tuple[float, bool]:
        """How many MB less are free than before on the disk that lost most, or on the first that became full; and
        whether one did. One that was full before the step wrote anything is not its fault."""
        lost = 0.0
        for place, before in self._free_before.items():
            free = free_mb(place)
            if free < RESERVE <= before:
                return before - free, True
            lost = max(lost, before - free)
        return lost, False

    def _count_writes(self, pids: Iterable[int]) -> None:
        """What processes wrote that ended meanwhile was counted while they lived, or by who waited for them."""
        now = disk_writes_mb((*pids, os.getpid()))
        if now is None or self._writes is None:
            self._writes = None
        else:
            self._writes = max(self._writes, now - self._writes_before)


def free_mb(place: str) -> float:
    """Free disk space in MB at a place, for a user without privileges; infinite where there is none such."""
    try:
        status = os.statvfs(place)
    except OSError:
        return float("inf")
    return status.f_bavail * status.f_frsize / 2**20


def _disks(places: Iterable[str], memory: set[int]) -> list[str]:
    """One place on each disk that these are on."""
    found: dict[int, str] = {}
    for place in places:
        with contextlib.suppress(OSError):
            found.setdefault(os.stat(place).st_dev, place)  # noqa: PTH116
    return [place for device, place in found.items() if device not in memory]
