"""Watches what a step's process tree uses, and says which limit it exceeds first. Stdlib only, for the guard."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from swarm.execution.guard.cpu_time import CpuTime
from swarm.execution.guard.disk_monitor import DiskMonitor
from swarm.execution.guard.memory_monitor import MemoryMonitor
from swarm.execution.machine.folder_walk import usage
from swarm.execution.machine.gpu_memory import GpuMemory
from swarm.execution.machine.held_files import memory_devices
from swarm.execution.machine.process_tree import ProcessTree
from swarm.execution.reading.logs import BEATS, read_plain
from swarm.execution.spec import EndedBy, Step

AT_ONCE = (  # what grows on while a tree is given time to end
    *(EndedBy.PROCESSES, EndedBy.MEMORY, EndedBy.DISK, EndedBy.FILES, EndedBy.DEPTH, EndedBy.FILLED),
)

_INTERVAL, _SHORT_INTERVAL = 1.0, 0.1  # seconds between two readings of the tree, and where a limit is near
_IDLE = 0.05  # CPU-seconds a second, up to which a tree does nothing: threads that wait wake up now and then
_COMPARED = 4096  # bytes of the heartbeats that were kept last which still have to be there
_MOST = 100_000  # files of compiled code that are counted
_SURGE = 100  # new processes of the whole machine since the last reading after which the next is made at once


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened: wall and CPU-seconds after the step's start."""

    wall: float
    cpu: float


class ResourceMonitor:
    """The resource usage of one step's tree. `exceeded()` is to be called at short intervals."""

    def __init__(self, step: Step, tree: ProcessTree, cpu: CpuTime) -> None:
        self.max_rss_mb = 0.0
        self.first: Moment | None = None  # heartbeat
        self.last: Moment | None = None
        self.compiled = False  # whether something was, until the first heartbeat
        self._compiled_before = _files(step.compiles)
        self._step, self._tree, self._cpu = step, tree, cpu
        self._heartbeat = HeartbeatMonitor(step)
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

    @property
    def rewritten(self) -> bool:
        """Whether its heartbeats were changed or taken back, once the step has ended, too."""
        self._heartbeat.look(time.monotonic())
        return self._heartbeat.rewritten

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
        changed = self._heartbeat.look(now)
        if changed or self._step.cpu is not None:  # where the CPU counts, what is short-lived is to be seen
            self._cpu.read()
        if changed:
            self.last = Moment(now - self._started, self._cpu.seconds)
            if self.first is None:
                self.first, self.compiled = self.last, _files(self._step.compiles) != self._compiled_before
        return EndedBy.STALL if self._heartbeat.silent(now) else None

    def _read_usage(self, now: float) -> EndedBy | None:
        step, living = self._step, self._tree.living()
        if (
            step.processes and len(living) > step.processes
        ):  # at once: what follows looks at each of them, while more come
            return EndedBy.PROCESSES
        self.max_rss_mb = max(self.max_rss_mb, sum(process.rss_mb for process in living.values()))
        exceeded = self._memory.exceeded(living)
        if self._gpu:
            self._gpu.look(living)
        if exceeded:
            return exceeded
        near = step.memory and self.memory_mb > step.memory / 2
        if (step.processes and len(living) > step.processes / 4) or near:
            self._next_reading = now + _SHORT_INTERVAL
        cpu, self._read_at = self._cpu.add(living), now
        if cpu - self._active_cpu > _IDLE * (now - self._active_at):
            self._active_at, self._active_cpu = now, cpu
        if step.cpu is not None and cpu > step.cpu:
            return EndedBy.CPU
        return self._disk.exceeded(living)


class HeartbeatMonitor:
    """Watches whether a heartbeat file stops changing, by this process's clock and not by file times; and keeps what
    is written there, out of reach of whoever wrote it: what a training has said of itself it cannot take back."""

    def __init__(self, step: Step) -> None:
        self._path, self._silence = step.heartbeat, step.silence
        self._seen: tuple[int, int] | None = None  # time of change and size
        self._changed_at = 0.0
        self.rewritten = False
        self._copy = Path(step.beats) if step.beats else None
        self._copied, self._end = 0, b""  # bytes that are kept, and the last of them

    def look(self, now: float) -> bool:
        """Whether the file has changed since the last look."""
        if self._path is None:
            return False
        with contextlib.suppress(OSError):
            status = Path(self._path).lstat()
            if self._seen != (seen := (status.st_mtime_ns, status.st_size)):
                self._seen, self._changed_at = seen, now
                if self._copy:
                    self._keep(Path(self._path), self._copy)
                return status.st_size > 0
        return False

    def silent(self, now: float) -> bool:
        """Whether the file has not changed for longer than it may."""
        return self._silence is not None and self._seen is not None and now - self._changed_at > self._silence

    def _keep(self, path: Path, copy: Path) -> None:
        """Adds to the copy what is new in the file; where what was copied stands there no more, nothing is added."""
        known = len(self._end)
        data = read_plain(path, known + BEATS - self._copied, start=self._copied - known)
        if data[:known] != self._end:
            self.rewritten = True
        elif not self.rewritten and len(data) > known:
            with copy.open("ab") as file:
                file.write(data[known:])
            self._copied += len(data) - known
            self._end = (self._end + data[known:])[-_COMPARED:]


def _files(folder: str | None) -> int:
    """Number of files and folders in a folder, of which edited code may fill some."""
    return usage([folder], _MOST).entries if folder else 0


def _tasks() -> int:
    """Number of processes and threads of this machine; 0 where it does not report it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    return 0
