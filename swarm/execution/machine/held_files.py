"""Files that processes hold open, also those without a name any more, and what they wrote to disks. Stdlib only."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from swarm.execution.machine.process_table import PROC, place, threads

_IN_MEMORY = (b"tmpfs", b"ramfs", b"hugetlbfs", b"devtmpfs")  # kinds of file systems

_KCMP, _FILES = {"x86_64": 312, "aarch64": 272}, 2  # kcmp(2), and what of two threads it is to compare

FileId = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class HeldFile:
    """An open file: the MB it takes, and its path where it still has one."""

    mb: float
    path: str
    written: bool  # whether it is open for writing; asked only of files in memory


@dataclass(slots=True)
class HeldFiles:
    """Open files without a name on a disk, and all in memory (shared memory), each once. `whole` is false where there
    are others on a disk: of a process that hides its files, only mapped, or on their way through a socket; `sent` is
    how many are on their way."""

    on_disk: dict[FileId, HeldFile] = field(default_factory=dict)
    in_memory: dict[FileId, HeldFile] = field(default_factory=dict)
    whole: bool = True
    sent: int = 0


def held_files(pids: Iterable[int], memory: set[int]) -> HeldFiles:
    """What these processes hold; `memory` are the devices of file systems in memory (`memory_devices`)."""
    found = HeldFiles()
    for pid in pids:
        for table in _tables(pid):
            try:
                links = list((table / "fd").iterdir())
            except FileNotFoundError:  # it has ended
                continue
            except OSError:
                found.whole = False
                continue
            for link in links:
                with contextlib.suppress(OSError):  # closed meanwhile
                    _add(link, found, memory)
        found.whole = found.whole and not found.sent and not _maps_unnamed(pid, memory)
    return found


def _tables(pid: int) -> list[Path]:
    """Where /proc shows the open files of a process: nearly always all of its threads have the same ones."""
    first = place(pid)
    own = [one for one in threads(pid) if one != int(first.name) and not _share_files(int(first.name), one)]
    return [first, *(PROC / str(pid) / "task" / str(thread) for thread in own)]


def _share_files(one: int, other: int) -> bool:
    """Whether two threads have the same open files: what one opens, the other has. False where nobody says so."""
    call = _KCMP.get(os.uname().machine)
    return call is not None and _library().syscall(call, one, other, _FILES, 0, 0) == 0


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _maps_unnamed(pid: int, memory: set[int]) -> bool:
    """Whether a process maps a file on a disk that has no name any more."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (place(pid) / "maps").read_bytes().splitlines():
            if line.endswith(b" (deleted)"):
                major, _, minor = line.split(maxsplit=5)[3].partition(b":")
                if os.makedev(int(major, 16), int(minor, 16)) not in memory:
                    return True
    return False


def _sent(link: Path) -> int:
    """How many open files wait in a socket for who receives them."""
    for line in (link.parents[1] / "fdinfo" / link.name).read_text().splitlines():
        if line.startswith("scm_fds:"):
            return int(line.split()[1])
    return 0


def _add(link: Path, found: HeldFiles, memory: set[int]) -> None:
    status = link.stat()
    if stat.S_ISSOCK(status.st_mode):
        found.sent += _sent(link)
        return
    named, in_memory = status.st_nlink > 0, status.st_dev in memory
    if not stat.S_ISREG(status.st_mode) or (named and not in_memory):
        return
    path = str(link.readlink())
    in_memory = in_memory or path.startswith("/memfd:")  # of huge pages, whose device has no other name
    mb = status.st_blocks * 512 / 2**20
    files, known = (found.in_memory if in_memory else found.on_disk), (status.st_dev, status.st_ino)
    written = in_memory and ((known in files and files[known].written) or _writes(link))
    files[known] = HeldFile(mb, path if named else "", written)


def _writes(link: Path) -> bool:
    """Whether it is open for writing."""
    for line in (link.parents[1] / "fdinfo" / link.name).read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return True


def memory_devices() -> set[int]:
    """Devices of the file systems in memory that this process sees, and that of memory without a name."""
    devices = {device for device, _ in memory_mounts(PROC / "self")}
    if hasattr(os, "memfd_create"):
        probe = os.memfd_create("probe")
        devices.add(os.fstat(probe).st_dev)
        os.close(probe)
    return devices


def memory_mounts(process: Path) -> list[tuple[int, str]]:
    """Device and place of each file system in memory that a process sees, by its folder in /proc. [] where that cannot
    be read."""
    found = []
    with contextlib.suppress(OSError):
        for line in (process / "mountinfo").read_bytes().splitlines():
            before, _, after = line.partition(b" - ")
            fields = before.split(b" ")
            if after.split(b" ")[0] in _IN_MEMORY and len(fields) > 4:
                major, _, minor = fields[2].partition(b":")
                found.append((os.makedev(int(major), int(minor)), os.fsdecode(fields[4])))
    return found


def private_mounts_mb(pids: Iterable[int], known: set[int]) -> float:
    """MB in file systems in memory that only these processes see, as those of a sandbox; `known` are everybody's."""
    namespaces: dict[str, Path] = {}
    for pid in pids:
        for thread in threads(pid):  # each may have its own
            seen = PROC / str(pid) / "task" / str(thread)
            with contextlib.suppress(OSError):
                namespaces.setdefault(str((seen / "ns/mnt").readlink()), seen)
    with contextlib.suppress(OSError):
        namespaces.pop(str((PROC / "self/ns/mnt").readlink()), None)
    used: dict[int, float] = {}
    for seen in namespaces.values():
        for device, mount in memory_mounts(seen):
            if device not in known and device not in used:
                with contextlib.suppress(OSError):
                    status = os.statvfs(f"{seen}/root{mount}")
                    used[device] = (status.f_blocks - status.f_bfree) * status.f_frsize / 2**20
    return sum(used.values())


def disk_writes_mb(pids: Iterable[int]) -> float | None:
    """MB that these processes, and those of their children that they waited for, had written to disks; None where one
    of them hides it, 0 where this system does not count it."""
    total = 0
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "io").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            return None
        numbers = {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}
        total += numbers.get("write_bytes", 0) - numbers.get("cancelled_write_bytes", 0)
    return total / 2**20
