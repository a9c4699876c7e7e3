"""Watches the memory that a step's tree takes: its processes' own, and what they share, mapped or not. Stdlib only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from swarm.execution.machine import cgroup
from swarm.execution.machine.folder_walk import walk
from swarm.execution.machine.held_files import FileId, held_files, memory_devices, private_mounts_mb
from swarm.execution.machine.process_table import PROC, Process, place, private_mb
from swarm.execution.spec import EndedBy, Step

SHARED = Path("/dev/shm")
RESERVE = 500.0  # MB of the machine's memory that a run must leave free
SHARE = 0.05  # or, where that is less, this share of it
WORTH = 128.0  # MB of mapped shared memory from which on it is looked at closely, which takes time
LONG_SENT = 3  # looks in a row that find files on their way through a socket, from which on they lie there
LOOKING = 0.1  # share of the time that is spent on that at most


class MemoryMonitor:
    """The memory that one step takes, compared with how it was when this was made.

    Shared memory counts once, however many processes map it, and whether any does: files in /dev/shm, memory without a
    name, and segments that are known by a number. What the step made there is removed by `clear`.
    """

    def __init__(self, step: Step) -> None:
        self.used_mb = self.peak_mb = 0.0  # what limits count, and with shared files and libraries; the most so far
        self._step = step
        self._devices = memory_devices()
        self._there = {_id(entry.status) for entry in walk(SHARED, deepest=8)}  # before the step
        self._segments = {segment.number for segment in _segments()}
        self._made: dict[FileId, str] = {}  # files that the step made in memory, by what they are
        self._pids: set[int] = set()
        self._mapped_mb = self._next_look = 0.0
        self._sent = 0  # looks in a row that found files on their way
        self._shared_before = shared_mb()
        self._free_before = free_mb()
        self._enough = min(RESERVE, SHARE * total_mb())
        self._was_short = self._free_before < self._enough

    def exceeded(self, living: Mapping[int, Process]) -> EndedBy | None:
        """Whether the step takes more than it may, or so much that the machine has next to none left."""
        self._pids |= living.keys()
        shared = self._shared(living)
        used = sum(map(private_mb, living)) + shared
        self.used_mb = max(self.used_mb, used)
        self._note_peak(living, used)
        if self._step.memory and used > self._step.memory:
            return EndedBy.MEMORY
        lost = self._free_before - (free := free_mb())
        short = not self._was_short and free < self._enough
        return EndedBy.MEMORY if short and used >= lost / 2 else None

    def clear(self) -> None:
        """Removes what the step left in memory, once its processes are gone."""
        for known, path in self._made.items():
            with contextlib.suppress(OSError):
                if _id(Path(path).lstat()) == known:
                    Path(path).unlink()
        for segment in _segments():
            if segment.number not in self._segments and segment.maker in self._pids and not segment.attached:
                with contextlib.suppress(OSError, AttributeError):
                    ctypes.CDLL(None).shmctl(segment.number, 0, None)  # IPC_RMID

    def _shared(self, living: Mapping[int, Process]) -> float:
        """MB of memory that was taken for files in memory and segments, by the step."""
        found = held_files(living, self._devices)
        held = {known: file for known, file in found.in_memory.items() if known not in self._there}
        self._sent = self._sent + 1 if found.sent else 0
        self._made |= {known: file.path for known, file in held.items() if file.path and file.written}
        unheld = sum(_mb(path, known) for known, path in self._made.items() if known not in held)
        mine = [segment for segment in _segments() if segment.number not in self._segments]
        segments = sum(segment.mb for segment in mine if segment.maker in self._pids)
        numbers = {segment.number for segment in mine}
        mapped = self._mapped(living, held.keys(), numbers)
        private = private_mounts_mb(living, self._devices)
        seen = sum(file.mb for file in held.values()) + unheld + segments + mapped
        if (
            self._sent >= LONG_SENT
        ):  # nothing says how large these are: as much as the machine has more, and nobody shows
            seen = max(seen, shared_mb() - self._shared_before - private)
        return seen + private

    def _mapped(self, living: Mapping[int, Process], held: Collection[FileId], segments: Collection[int]) -> float:
        """MB of shared memory that is only mapped: no file descriptor and no number leads to it."""
        status = {pid: _kilobytes(place(pid) / "status", ("RssShmem",)).get("RssShmem", 0.0) for pid in living}
        if sum(status.values()) / 2**10 < WORTH:
            return 0.0
        started = time.monotonic()
        if started >= self._next_look:
            found = (_mapped_mb(pid, held, segments, self._devices, kb / 2**10) for pid, kb in status.items() if kb)
            self._mapped_mb = sum(found)
            ended = time.monotonic()
            self._next_look = ended + (ended - started) / LOOKING
        return self._mapped_mb

    def _note_peak(self, living: Mapping[int, Process], used: float) -> None:
        """The exact share of each process is asked for only where its sum may be a new peak: it takes time."""
        resident = sum(process.rss_mb for process in living.values())
        if len(living) > 1 and resident > self.peak_mb:
            resident = sum(_proportional_mb(process) for process in living.values())
        self.peak_mb = max(self.peak_mb, resident, used)


@dataclass(frozen=True, slots=True)
class _Segment:
    """Shared memory that is known by a number, made by the process `maker`."""

    number: int
    maker: int
    attached: int
    mb: float


def _segments() -> Iterator[_Segment]:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (PROC / "sysvipc/shm").read_text().splitlines()[1:]:
            words = line.split()
            yield _Segment(int(words[1]), int(words[4]), int(words[6]), int(words[14]) / 2**20)


def _mapped_mb(pid: int, held: Collection[FileId], segments: Collection[int], devices: set[int], most: float) -> float:
    """The process's share of mapped shared memory that is not counted otherwise; `most` where that cannot be seen."""
    total, counts = 0.0, False
    try:
        with (place(pid) / "smaps").open("rb") as lines:
            for line in lines:
                name, _, rest = line.partition(b":")
                if b"-" in name.split(b" ")[0] and b" " in name:  # the head of a mapping: its device has a colon too
                    counts = _is_unheld(line.split(maxsplit=5), held, segments, devices)
                elif counts and name == b"Pss":
                    total += int(rest.split()[0]) / 2**10
    except FileNotFoundError:
        return 0.0
    except (OSError, ValueError, IndexError):
        return most
    return total


def _is_unheld(fields: list[bytes], held: Collection[FileId], segments: Collection[int], devices: set[int]) -> bool:
    """Whether a mapping is of shared memory that is not counted otherwise."""
    major, _, minor = fields[3].partition(b":")
    device, inode = os.makedev(int(major, 16), int(minor, 16)), int(fields[4])
    if not inode or device not in devices or (device, inode) in held:
        return False
    return not (len(fields) > 5 and fields[5].startswith(b"/SYSV") and inode in segments)


def _proportional_mb(process: Process) -> float:
    """What a process takes, with its share of what it shares with others; all of it where that is not known."""
    found = _kilobytes(place(process.pid) / "smaps_rollup", ("Pss",))
    return found["Pss"] / 2**10 if "Pss" in found else process.rss_mb


def free_mb() -> float:
    """MB of memory that can still be had, on this machine and in its control groups; infinite where nothing says so."""
    machine = _kilobytes(PROC / "meminfo", ("MemAvailable",)).get("MemAvailable")
    return min(float("inf") if machine is None else machine / 2**10, cgroup.memory_left_mb())


def shared_mb() -> float:
    """MB of shared memory of the whole machine, whoever has it: files in memory too."""
    return _kilobytes(PROC / "meminfo", ("Shmem",)).get("Shmem", 0.0) / 2**10


def total_mb() -> float:
    """MB of memory of this machine, or that its control groups allow."""
    machine = _kilobytes(PROC / "meminfo", ("MemTotal",)).get("MemTotal", 0.0) / 2**10
    return min(machine, cgroup.memory_mb() or machine)


def _kilobytes(file: Path, names: tuple[str, ...]) -> dict[str, float]:
    """The numbers of these names in a file with lines as `Name:   12 kB`."""
    found = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in file.read_text(errors="replace").splitlines():
            name, _, rest = line.partition(":")
            if name in names:
                found[name] = float(rest.split()[0])
    return found


def _mb(path: str, known: FileId) -> float:
    """MB of a file, if it is still this one."""
    with contextlib.suppress(OSError):
        status = Path(path).lstat()
        return status.st_blocks * 512 / 2**20 if _id(status) == known else 0.0
    return 0.0


def _id(status: os.stat_result) -> FileId:
    return status.st_dev, status.st_ino
