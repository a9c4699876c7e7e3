"""A terminal that can be left: what is done in it goes on in a process that the shell does not wait for."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from swarm.signals import handled

Leave = Callable[[Path, str], None]

_SAID = b"\0"  # ends what is told


def leavable(work: Callable[[Leave | None], int]) -> int:
    """Does the work, and gives its exit code. Nothing may have been begun that does not survive a fork: no thread, and
    no client of Ray.

    The work is handed a function `leave(log, told)`: from its call on it goes on without this terminal, writes to
    `log`, and whoever waits for this process reads `told` and gets 0. Where nobody can press a key, None is handed.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return work(None)
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        return work(partial(_leave, theirs))
    os.close(theirs)
    with _signals(child):
        told = b""
        while not told.endswith(_SAID) and (more := os.read(ours, 4096)):  # nothing: it has ended
            told += more
        os.close(ours)
        if told.endswith(_SAID):
            print(told.removesuffix(_SAID).decode(), flush=True)
            return 0
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _leave(channel: int, log: Path, told: str) -> None:
    """This process no longer belongs to its terminal, whose shell goes on."""
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        for stream, target in ((0, nothing), (1, file), (2, file)):
            os.dup2(target.fileno(), stream)
    os.setsid()  # Ctrl-C and the end of the terminal are others' from now on
    os.write(channel, told.encode() + _SAID)
    os.close(channel)


def _signals(child: int) -> AbstractContextManager[None]:
    """The child answers for both: a Ctrl-C of the terminal reaches it anyway, and it is handed a SIGTERM."""

    def pass_on(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    return handled({signal.SIGINT: signal.SIG_IGN, signal.SIGHUP: signal.SIG_IGN, signal.SIGTERM: pass_on})
