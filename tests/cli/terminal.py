"""A real terminal for tests: a program in a pty of its own, what it draws, and what state it leaves the terminal in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence

SWARM = (sys.executable, "-m", "swarm")
LONG = 600.0  # seconds: ten times what a quiet machine needs


class Terminal:
    """A running program, `python -m swarm` if no other, with everything that it has drawn so far."""

    def __init__(self, words: Sequence[str], rows: int = 24, columns: int = 80, program: Sequence[str] = SWARM) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        environment = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        self.process = subprocess.Popen(
            [*program, *words],
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, start_new_session=True,
            env={**environment, "TERM": "xterm-256color"},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.drawn = ""
        self.seen = 0
        self.closed = False

    def close(self) -> None:
        """The terminal goes: whoever still has it is told so (SIGHUP)."""
        if not self.closed:
            os.close(self.ours)
            os.close(self.theirs)
        self.closed = True

    def press(self, keys: str) -> None:
        self.seen = len(self.drawn)
        os.write(self.ours, keys.encode())

    def wait_for(self, text: str) -> None:
        """Until the text is drawn, after the last keys."""
        until = time.monotonic() + LONG
        while text not in self.drawn[self.seen :]:
            running = self.process.poll() is None
            self._draw(0)
            assert time.monotonic() < until and (running or text in self.drawn[self.seen :]), (
                f"no {text!r} in {self.drawn[-3000:]!r}"
            )
            self._draw(0.5)

    def end(self) -> int:
        """The exit code; the terminal must be as it was, and show its usual screen again."""
        until = time.monotonic() + LONG
        while self.process.poll() is None:
            assert time.monotonic() < until, "it does not end"
            self._draw(0.1)
        self._draw(0.1)
        assert termios.tcgetattr(self.theirs) == self.before, "the terminal is left as it was found"
        assert self.drawn.rfind("\x1b[?1049l") >= self.drawn.rfind("\x1b[?1049h"), "and shows its usual screen"
        assert self.drawn.rfind("\x1b[?25h") >= self.drawn.rfind("\x1b[?25l"), "with a cursor"
        return self.process.returncode

    def _draw(self, seconds: float) -> None:
        while select.select([self.ours], [], [], seconds)[0]:
            self.drawn += os.read(self.ours, 65536).decode("utf-8", "replace")
            seconds = 0


@contextlib.contextmanager
def terminal(*words: str, rows: int = 24, columns: int = 80, program: Sequence[str] = SWARM) -> Iterator[Terminal]:
    opened = Terminal(words, rows, columns, program)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            opened.process.kill()
            opened.process.wait()
        opened.close()
