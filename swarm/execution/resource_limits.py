"""Watches what a step's process tree uses, and says which limit it exceeds first. Stdlib only, for the guard."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from swarm.execution import process_table
from swarm.execution.disk_monitor import DiskMonitor
from swarm.execution.gpu_memory import GpuMemory
from swarm.execution.held_files import memory_devices
from swarm.execution.memory_monitor import MemoryMonitor
from swarm.execution.process_tree import ProcessTree
from swarm.execution.spec import EndedBy, Step

AT_ONCE = (  # what grows on while a tree is given time to end
    *(EndedBy.PROCESSES, EndedBy.MEMORY, EndedBy.DISK, EndedBy.FILES, EndedBy.DEPTH, EndedBy.FILLED),
)

_INTERVAL, _SHORT_INTERVAL = 1.0, 0.1  # seconds between two readings of the tree, and where a limit is near
_IDLE = 0.05  # CPU-seconds a second, up to which a tree does nothing: threads that wait wake up now and then
_SURGE = 100  # new processes of the whole machine since the last reading after which the next is made at once


class ResourceMonitor:
    """The resource usage of one step's tree. `exceeded()` is to be called at short intervals."""

    def __init__(self, step: Step, tree: ProcessTree) -> None:
        self.max_rss_mb = self.max_cpu_seconds = 0.0
        self.start: float | None = None  # wall and CPU-seconds until the first heartbeat
        self.start_cpu: float | None = None
        self._step, self._tree = step, tree
        self._heartbeat = HeartbeatMonitor(step)
        self._cpu = tree.cpu_seconds(tree.living())
        self._disk = DiskMonitor(step, memory_devices())
        self._memory = MemoryMonitor(step)
        self._gpu = GpuMemory(step.gpu) if step.gpu else None
        self._next_reading, self._tasks = 0.0, _tasks()
        self._started = time.monotonic()  # to look at a large folder took a while
        self._deadline = self._started + step.wall
        self._active_at, self._active_cpu = self._started, 0.0  # when the tree was last seen to work
        self._read_at = self._started

    @property
    def idle_seconds(self) -> float:
        """For how long the tree had done nothing when it was looked at last."""
        return self._read_at - self._active_at

    @property
    def written_mb(self) -> float:
        """What the step wrote on disks, the most that was there at once."""
        return self._disk.written_mb

    @property
    def memory_mb(self) -> float:
        """The memory that counts for its limit, the most at any moment."""
        return self._memory.used_mb

    @property
    def peak_mb(self) -> float:
        """All memory of the tree, the most at any moment."""
        return self._memory.peak_mb

    @property
    def gpu_peak_mb(self) -> float | None:
        """The same of its GPU's memory; None where nothing measures it."""
        return self._gpu.peak_mb if self._gpu else None

    def left(self) -> EndedBy | None:
        """The limit that is exceeded by what an ended step left behind; what it left in memory is removed."""
        self._memory.clear()
        return self._disk.exceeded((), now=True)

    def exceeded(self) -> EndedBy | None:
        """The first limit that is exceeded; None while none is."""
        now, tasks = time.monotonic(), _tasks()
        surge = tasks - self._tasks > _SURGE
        if now >= self._next_reading or surge:
            self._next_reading, self._tasks = now + _INTERVAL, tasks
            if exceeded := self._read_usage(now):
                return exceeded
        if now >= self._deadline:
            return EndedBy.DEADLINE
        silent = self._heartbeat.silent(now)
        if self._heartbeat.beats and self.start is None:
            self.start, self.start_cpu = now - self._started, self._count_cpu(self._tree.living())
        return EndedBy.STALL if silent else None

    def _count_cpu(self, living: Mapping[int, process_table.Process]) -> float:
        self.max_cpu_seconds = max(self.max_cpu_seconds, self._tree.cpu_seconds(living) - self._cpu)
        return self.max_cpu_seconds

    def _read_usage(self, now: float) -> EndedBy | None:
        step, living = self._step, self._tree.living()
        self.max_rss_mb = max(self.max_rss_mb, sum(process.rss_mb for process in living.values()))
        exceeded = self._memory.exceeded(living)
        if self._gpu:
            self._gpu.look(living)
        if step.processes and len(living) > step.processes:
            return EndedBy.PROCESSES
        if exceeded:
            return exceeded
        near = step.memory and self.memory_mb > step.memory / 2
        if (step.processes and len(living) > step.processes / 4) or near:
            self._next_reading = now + _SHORT_INTERVAL
        cpu, self._read_at = self._count_cpu(living), now
        if cpu - self._active_cpu > _IDLE * (now - self._active_at):
            self._active_at, self._active_cpu = now, cpu
        if step.cpu is not None and cpu > step.cpu:
            return EndedBy.CPU
        return self._disk.exceeded(living)


class HeartbeatMonitor:
    """Watches whether a heartbeat file stops changing, by this process's clock and not by file times."""

    def __init__(self, step: Step) -> None:
        self._path, self._silence = step.heartbeat, step.silence
        self._seen: tuple[int, int] | None = None  # time of change and size
        self._changed_at = 0.0

    @property
    def beats(self) -> bool:
        """Whether the file has been there."""
        return self._seen is not None

    def silent(self, now: float) -> bool:
        """Looks at the file; whether it has not changed for longer than it may."""
        if self._path is None:
            return False
        with contextlib.suppress(OSError):
            status = Path(self._path).lstat()
            if self._seen != (seen := (status.st_mtime_ns, status.st_size)):
                self._seen, self._changed_at = seen, now
        return self._silence is not None and self._seen is not None and now - self._changed_at > self._silence


def _tasks() -> int:
    """Number of processes and threads of this machine; 0 where it does not report it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    return 0
