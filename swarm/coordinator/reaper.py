"""The reaper: a small process beside the head that outlives it and ends whatever was started under it. Stdlib only.

    python -m swarm.coordinator.reaper PID NAME=VALUE FOLDER

PID is the head's, and FOLDER its swarm's, for whoever reads a list of processes.

All that starts under a head inherits the variable NAME=VALUE, its mark: Ray's daemons, the actors, guards and their
runs. The reaper waits for the end of its stdin, which means that the head is gone, whatever ended it; then it ends what
carries the mark and what descends from that, and nothing else: not another swarm's, nor a Ray that was only joined.

It is ended by nobody but by SIGKILL, and the head starts another one then. Where both are killed at once, what they
leave lives on as it would without a reaper; the agents' guards still end all trainings.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import swarm
from swarm.execution.machine import process_table
from swarm.execution.spec import GUARD_FOLDER, HEAD

POLITE = 2.0  # seconds from SIGTERM to SIGKILL
GUARDED = 5.0  # seconds in which guards, which see the end of their agents, end their runs and write how that was
STUCK = 60.0  # seconds after which what not even SIGKILL ends is left: it hangs in the kernel
EVERY = 2.0  # seconds between two looks at what descends from a living head
SESSION, BYE = b"session ", b"bye"  # what the head says: a folder that Ray made for it; that it ends in order
_LOOK = 0.05  # seconds between two looks at what is left
_ENDS = b"\n"
_DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Known = dict[int, str]  # processes by pid, with the birth of each


class Reaper:
    """The head's reaper. It works from the moment it is made, until `close` or the head's end."""

    def __init__(self, folder: Path):
        self._folder, self._sessions = folder, list[str]()
        self._process = self._start()

    def session(self, folder: str) -> None:
        """Names a folder that Ray made for this head: it is removed where the head is killed."""
        self._sessions.append(folder)
        self._say(SESSION + os.fsencode(folder))

    def revive(self) -> bool:
        """Starts another reaper where somebody killed it; whether that was so."""
        if self._process.poll() is None:
            return False
        self._process = self._start()
        for folder in self._sessions:
            self._say(SESSION + os.fsencode(folder))
        return True

    def close(self) -> None:
        """Ends in order: what is still left of this head is ended now; Ray's logs stay."""
        self._say(BYE)
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2 * GUARDED)

    def _start(self) -> subprocess.Popen[bytes]:
        os.environ[HEAD] = own_mark()
        environment = {"PYTHONPATH": str(Path(swarm.__file__).parents[1]), "PATH": os.environ.get("PATH", os.defpath)}
        with _blocked(_DEAF_TO):  # inherited: no signal ends it before it has said that it ignores them
            return subprocess.Popen(
                [sys.executable, "-S", "-P", "-m", "swarm.coordinator.reaper", str(os.getpid()), f"{HEAD}={own_mark()}",
                 str(self._folder)], cwd="/", env=environment, bufsize=0, stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def _say(self, line: bytes) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):  # it was killed: `revive` starts another, which is told anew
            self._process.stdin.write(line + _ENDS)


@contextlib.contextmanager
def _blocked(signals: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Keeps `signals` from this thread, and from what it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@functools.cache
def own_mark() -> str:
    """The value of the mark of all that is started under this process; no other process ever had or has it."""
    return f"{os.getpid()}.{secrets.token_hex(8)}"


# -- the process itself --------------------------------------------------------------------------------------------


def main() -> None:
    head, mark = int(sys.argv[1]), sys.argv[2]
    for number in _DEAF_TO:  # it ends when the head has, not with its terminal
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEAF_TO)
    known: Known = {}
    sessions, in_order = _listen(head, known)
    end_marked(mark, known)
    if not in_order:
        for folder in sessions:
            _remove(folder)


def _listen(head: int, known: Known) -> tuple[list[Path], bool]:
    """Waits until the head is gone; the folders that it named, and whether it ended in order.

    Meanwhile what descends from it becomes `known`: something may leave both its parent and its environment.
    """
    said = b""
    while os.getppid() == head:  # the pipe's end may have got into a process that lives on
        if not select.select([0], [], [], EVERY)[0]:
            processes = process_table.table()
            _note(known, _with_descendants(processes, {head, *_living(known, processes)}) - {head, os.getpid()})
            continue
        if not (data := os.read(0, 65536)):
            break
        said += data
    said += _rest()
    lines = said.split(_ENDS)[:-1]
    sessions = [Path(os.fsdecode(line[len(SESSION) :])) for line in lines if line.startswith(SESSION)]
    return sessions, BYE in lines


def end_marked(mark: str, known: Known) -> None:
    """Ends all processes with the entry `mark` in their environment, those that are `known`, and what descends from
    them."""
    started, asked = time.monotonic(), set[int]()
    while (waited := time.monotonic() - started) < STUCK:
        left, guarded = _left(mark, known)
        if not left:
            return
        for pid in left - (guarded if waited < GUARDED else set()):
            if waited >= POLITE:
                _signal(pid, signal.SIGKILL)
            elif pid not in asked:
                _signal(pid, signal.SIGTERM)
                asked.add(pid)
        time.sleep(_LOOK)


def _left(mark: str, known: Known) -> tuple[set[int], set[int]]:
    """What carries the mark or is `known`, with its descendants; and which of these are guards and their runs."""
    environments, processes = process_table.environments(), process_table.table()
    roots = {pid for pid, held in environments.items() if process_table.holds(held, mark)} & processes.keys()
    left = _with_descendants(processes, roots | _living(known, processes)) - {os.getpid()}
    _note(known, left)
    own = (f"{GUARD_FOLDER}=", "SWARM_RUN_DIR=")
    guards = {pid for pid in left if any(process_table.holds(environments.get(pid, b""), name) for name in own)}
    return left, _with_descendants(processes, guards)


def _living(known: Known, processes: process_table.Table) -> set[int]:
    return {pid for pid, birth in known.items() if pid in processes and process_table.birth(pid) == birth}


def _note(known: Known, living: set[int]) -> None:
    """Makes these, and no others, known."""
    births = {pid: known.get(pid) or process_table.birth(pid) for pid in living}
    known.clear()
    known |= {pid: birth for pid, birth in births.items() if birth}


def _with_descendants(processes: process_table.Table, roots: set[int]) -> set[int]:
    return roots.union(*(process_table.descendants(processes, root) for root in roots))


def _rest() -> bytes:
    """What the head said and was not read yet: it may have been killed in the moment in which this began."""
    said = b""
    os.set_blocking(0, False)
    with contextlib.suppress(BlockingIOError):  # somebody else holds the pipe's other end
        while data := os.read(0, 65536):
            said += data
    return said


def _signal(pid: int, number: signal.Signals) -> None:
    """To this process alone: its group may be that of the shell which the head was started from."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _remove(session: Path) -> None:
    """Removes a folder of Ray's, and the link to the newest of them where it leads there."""
    shutil.rmtree(session, ignore_errors=True)
    newest = session.parent / "session_latest"
    with contextlib.suppress(OSError):
        if newest.is_symlink() and newest.readlink() == session:
            newest.unlink()


if __name__ == "__main__":
    main()
