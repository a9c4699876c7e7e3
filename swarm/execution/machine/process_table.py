"""The process table of this machine: who descends from whom, what they have used; and signals to many. Stdlib only.

On Linux a process lives on in its other threads once its main thread has ended (`place`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICK, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE") / 2**20
_ENDED = "ZX"  # states of a thread


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table. `cpu_seconds` includes the children it has waited for, on Linux; `own_seconds`
    does not. `birth` is when it started, in whatever unit: with the pid an identity, "" where that costs too much."""

    pid: int
    parent: int
    group: int
    cpu_seconds: float
    rss_mb: float
    own_seconds: float = 0.0
    birth: str = ""


Table = Mapping[int, Process]


def table() -> Table:
    """Every living process of this machine (of this PID namespace), without zombies."""
    return _table_of_proc() if sys.platform == "linux" else _table_of_ps()


def descendants(processes: Table, root: int) -> dict[int, Process]:
    """All descendants of `root`, without `root` itself."""
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    found: dict[int, Process] = {}
    queue = [root]
    while queue:
        for child in children.get(queue.pop(), ()):
            if child.pid not in found and child.pid != root:
                found[child.pid] = child
                queue.append(child.pid)
    return found


def below(root: int) -> dict[int, Process]:
    """All descendants of `root`, as `descendants(table(), root)`: where the kernel lists the children of each thread
    (as it nearly always does), by reading no other process. One that ends just then may hide its sisters once."""
    if not (PROC / f"{root}/task/{root}/children").exists():
        return descendants(table(), root)
    found: dict[int, Process] = {}
    queue = [root]
    while queue:
        for child in children(queue.pop()):
            if child not in found and (process := _process(child)):
                found[child] = process
                queue.append(child)
    return found


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Signals each process, and each process group that is not the caller's own.

    The kernel signals a group at once, so that a chain of processes, each of which forks the next and exits before the
    next look at the table, cannot escape.
    """
    processes = list(processes)
    for group in {process.group for process in processes} - {os.getpgrp(), 0, 1}:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


def private_mb(pid: int) -> float:
    """Resident memory in MB that belongs to this process alone; 0 where the system does not report it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        _, resident, shared = (place(pid) / "statm").read_text().split()[:3]
        return (int(resident) - int(shared)) * _PAGE
    return 0.0


def place(pid: int) -> Path:
    """Where /proc shows the memory and environment of a process: with its main thread, or once that has ended with
    another one that has not, as all of its threads have them in common."""
    fields = _stat(pid)
    if fields and fields[0] in _ENDED:
        for thread in threads(pid):
            fields = _stat(pid, thread)
            if fields and fields[0] not in _ENDED:
                return PROC / str(pid) / "task" / str(thread)
    return PROC / str(pid)


def threads(pid: int) -> list[int]:
    """All threads of a process by number, also those that have ended; the process alone where nobody lists them."""
    try:
        return _numbers(PROC / str(pid) / "task")
    except OSError:
        return [pid]


def birth(pid: int) -> str | None:
    """The start time of `pid` as this system writes it: with the pid an identity. None where it is not alive."""
    if sys.platform == "linux":
        fields = _stat(pid)
        return None if not fields or _is_gone(fields) else fields[19]
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip() or None


def with_variable(entry: str) -> set[int]:
    """Processes that were started with `entry` ("NAME=value") in their environment: how orphans are found."""
    return {pid for pid, environment in environments().items() if holds(environment, entry)}


def environments() -> dict[int, bytes]:
    """The environment that each process was started with, as far as the system shows it, for `holds`.

    A process that sets its own title may have overwritten it (SPT_NOENV=1 keeps Python's from that). On macOS it is
    what `ps` prints, behind the command.
    """
    if sys.platform == "linux":
        found = {}
        for pid in _numbers(PROC):
            with contextlib.suppress(OSError):
                found[pid] = b"\0" + _environment(pid) + b"\0"
        return found
    listed = subprocess.run(["ps", "-axEww", "-o", "pid=,command="], capture_output=True, check=False)
    return _environments_of_ps(listed.stdout)


def holds(environment: bytes, entry: str) -> bool:
    """Whether there is such an entry: "NAME=value", or with any value "NAME="."""
    end = b"" if entry.endswith("=") else environment[-1:]
    return environment[:1] + entry.encode() + end in environment


def become_subreaper() -> bool:
    """Makes orphans below this process its children instead of init's. Linux only; whether it worked."""
    return _prctl(36)  # PR_SET_CHILD_SUBREAPER


def die_with_parent() -> bool:
    """Has the kernel kill this process when its parent ends. Linux only; whether it worked."""
    return _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _prctl(option: int, value: int = 1) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes  # 5 ms that only Linux pays

    return ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0


def _numbers(folder: Path) -> list[int]:
    """The processes, or threads, that a folder in /proc lists."""
    return [int(entry.name) for entry in os.scandir(folder) if entry.name.isdecimal()]


def _stat(pid: int, thread: int | None = None) -> list[str] | None:
    """The fields of /proc/PID/stat, or of a thread's, from the third (state) on: the second, the name, may hold blanks
    and brackets."""
    try:
        file = PROC / str(pid) / (f"task/{thread}/stat" if thread else "stat")
        return file.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _is_gone(fields: list[str]) -> bool:
    """Whether a process has ended, by its `_stat`: its main thread has, and none of the others is left."""
    return fields[0] in _ENDED and int(fields[17]) <= 1


def _environment(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "environ").read_bytes()
    except ProcessLookupError:
        return (place(pid) / "environ").read_bytes()


def _table_of_proc() -> dict[int, Process]:
    return {process.pid: process for process in map(_process, _numbers(PROC)) if process}


def _process(pid: int) -> Process | None:
    """One line of the table; None where it has ended."""
    fields = _stat(pid)
    if not fields or _is_gone(fields):
        return None
    own = (int(fields[11]) + int(fields[12])) / _TICK
    waited = (int(fields[13]) + int(fields[14])) / _TICK
    rss = _rss_mb(pid) if fields[0] in _ENDED else int(fields[21]) * _PAGE
    return Process(pid, int(fields[1]), int(fields[2]), own + waited, rss, own, fields[19])


def _rss_mb(pid: int) -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((place(pid) / "statm").read_text().split()[1]) * _PAGE
    return 0.0


def children(pid: int) -> list[int]:
    """The children of all threads of a process, those that have ended and were not waited for among them; [] where the
    kernel does not list them."""
    found: list[int] = []
    for thread in threads(pid):
        with contextlib.suppress(OSError):
            found += map(int, (PROC / f"{pid}/task/{thread}/children").read_text().split())
    return found


def _table_of_ps() -> dict[int, Process]:
    listed = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,state=,time=,rss="], capture_output=True, text=True, check=False
    )
    found = {}
    for line in listed.stdout.splitlines():
        pid, parent, group, state, time, rss = line.split()
        if not state.startswith("Z"):
            cpu = _seconds(time)
            found[int(pid)] = Process(int(pid), int(parent), int(group), cpu, int(rss) / 1024, cpu)
    return found


def _environments_of_ps(listed: bytes) -> dict[int, bytes]:
    """Lines of a pid, a command and its environment, all with blanks between them."""
    lines = (line.strip().partition(b" ") for line in listed.splitlines())
    return {int(pid): b" " + rest + b" " for pid, _, rest in lines if pid.isdigit()}


def _seconds(text: str) -> float:
    """`ps` writes [[days-]hours:]minutes:seconds."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86400 * int(days or 0)
