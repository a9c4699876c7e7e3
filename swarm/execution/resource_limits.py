"""What a step's process tree uses, held against the step's limits. Stdlib only; the guard uses it."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from swarm.execution import process_table
from swarm.execution.process_group import Family
from swarm.execution.spec import Step

AT_ONCE = ("processes", "memory", "disk")  # excesses that grow while anybody is polite to them
RESERVE = 500.0  # MB of a disk that a run must leave free

_ACCOUNT, _HASTY = 1.0, 0.1  # seconds between two looks at the tree, and where a limit is near
_SURGE = 100  # processes that the whole machine may gain between two looks until the tree is looked at at once


class Meter:
    """`exceeded()` again and again tells the first limit that the step went beyond."""

    def __init__(self, step: Step, family: Family) -> None:
        self.max_rss_mb = self.max_cpu_seconds = 0.0
        self.start: float | None = None  # wall and CPU-seconds until the first heartbeat
        self.start_cpu: float | None = None
        self._step, self._family = step, family
        self._heart = Heart(step)
        self._began = time.monotonic()
        self._deadline = self._began + step.wall
        self._cpu = family.cpu_seconds(family.living())
        self._written = _megabytes(step.folders)
        self._tight = _free(step.folders) < RESERVE  # before it wrote anything: not its fault
        self._next, self._tasks = 0.0, _tasks()

    def exceeded(self) -> str | None:
        """The limit's name, as `Ended.ended_by` has it; None while all is well."""
        now, tasks = time.monotonic(), _tasks()
        surge = tasks - self._tasks > _SURGE
        if now >= self._next or surge:
            self._next, self._tasks = now + _ACCOUNT, tasks
            if excess := self._account(now):
                return excess
        if now >= self._deadline:
            return "deadline"
        silent = self._heart.silent(now)
        if self._heart.beats and self.start is None:
            self.start, self.start_cpu = now - self._began, self._count_cpu(self._family.living())
        return "stall" if silent else None

    def _count_cpu(self, living: Mapping[int, process_table.Process]) -> float:
        self.max_cpu_seconds = max(self.max_cpu_seconds, self._family.cpu_seconds(living) - self._cpu)
        return self.max_cpu_seconds

    def _account(self, now: float) -> str | None:
        step, living = self._step, self._family.living()
        self.max_rss_mb = max(self.max_rss_mb, sum(process.rss_mb for process in living.values()))
        own = sum(map(process_table.own_mb, living)) if step.memory else 0.0
        if step.processes and len(living) > step.processes:
            return "processes"
        if step.memory and own > step.memory:
            return "memory"
        if (step.processes and len(living) > step.processes / 4) or (step.memory and own > step.memory / 2):
            self._next = now + _HASTY
        cpu = self._count_cpu(living)
        if step.cpu is not None and cpu > step.cpu:
            return "cpu"
        if step.disk and _megabytes(step.folders) - self._written > step.disk:
            return "disk"
        return "full" if not self._tight and _free(step.folders) < RESERVE else None


class Heart:
    """Tells when a heartbeat file that was there stopped changing. Counts on its own clock, not on file times."""

    def __init__(self, step: Step) -> None:
        self._path, self._silence = step.heartbeat, step.silence
        self._seen: tuple[int, int] | None = None
        self._since = 0.0

    @property
    def beats(self) -> bool:
        """Whether the file was there at the last look."""
        return self._seen is not None

    def silent(self, now: float) -> bool:
        """Looks, and tells whether the beats have stopped."""
        if self._path is None:
            return False
        with contextlib.suppress(OSError):
            status = Path(self._path).lstat()
            if self._seen != (seen := (status.st_mtime_ns, status.st_size)):
                self._seen, self._since = seen, now
        return self._silence is not None and self._seen is not None and now - self._since > self._silence


def _megabytes(folders: Iterable[str]) -> float:
    """What the files in these folders take on disk."""
    blocks = 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):
                    blocks += os.lstat(Path(parent, name)).st_blocks
    return blocks * 512 / 2**20


def _free(folders: Iterable[str]) -> float:
    """MB that are free where these folders are; infinite where there are none."""
    free = float("inf")
    for folder in folders:
        with contextlib.suppress(OSError):
            free = min(free, shutil.disk_usage(folder).free / 2**20)
    return free


def _tasks() -> int:
    """Processes and threads of this machine; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    return 0
