"""The process table of this machine: who descends from whom, what they have used; and signals to many. Stdlib only."""

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
        for child in _children(queue.pop()):
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
        _, resident, shared = (PROC / str(pid) / "statm").read_text().split()[:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def birth(pid: int) -> str | None:
    """The start time of `pid` as this system writes it: with the pid an identity. None where it is not alive."""
    if sys.platform == "linux":
        fields = _stat(pid)
        return fields[19] if fields and fields[0] not in "ZX" else None
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
        for file in PROC.glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                found[int(file.parent.name)] = b"\0" + file.read_bytes() + b"\0"
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


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (state) on: the second, the name, may hold blanks and brackets."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _table_of_proc() -> dict[int, Process]:
    pids = (int(entry.name) for entry in os.scandir(PROC) if entry.name.isdigit())
    return {process.pid: process for process in map(_process, pids) if process}


def _process(pid: int) -> Process | None:
    """One line of the table; None where it has ended."""
    fields = _stat(pid)
    if not fields or fields[0] in "ZX":
        return None
    own = (int(fields[11]) + int(fields[12])) / _TICK
    waited = (int(fields[13]) + int(fields[14])) / _TICK
    return Process(pid, int(fields[1]), int(fields[2]), own + waited, int(fields[21]) * _PAGE, own, fields[19])


def _children(pid: int) -> list[int]:
    """The children of all threads of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in (PROC / f"{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
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
