"""Single keys from a terminal, which is as it was before once nobody reads them any more."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from types import FrameType

_NAMED = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "\x1b[5~": "pageup", "\x1b[6~": "pagedown",
    "\x1b[H": "home", "\x1b[F": "end", "\x1bOH": "home", "\x1bOF": "end", "\x1b[1~": "home", "\x1b[4~": "end",
    "\r": "enter", "\n": "enter", "\t": "tab", "\x1b": "escape", "\x7f": "backspace", "\b": "backspace", " ": "space",
}  # fmt: skip
_LONGEST = max(map(len, _NAMED))

Keys = Callable[[float], list[str]]


@contextlib.contextmanager
def keyboard() -> Iterator[Keys | None]:
    """A function that waits so many seconds for keys and gives their names; None where nobody can press any.

    Ctrl-C stays a signal. SIGTERM ends this process as usual, but with the terminal restored.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    terminated = signal.getsignal(signal.SIGTERM)
    if terminated is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    try:
        tty.setcbreak(descriptor)
        yield lambda seconds: _read(descriptor, seconds)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        if terminated is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, terminated)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _read(descriptor: int, seconds: float) -> list[str]:
    ready, _, _ = select.select([descriptor], [], [], seconds)
    if not ready:
        return []
    typed = os.read(descriptor, 4096)
    if not typed:  # the terminal is gone: what looks on goes on, at its own pace
        time.sleep(seconds)
    return keys_of(typed.decode("utf-8", "ignore"))


def keys_of(typed: str) -> list[str]:
    """The names of the keys behind what a terminal sent; an unknown sequence is nothing."""
    keys = []
    while typed:
        known = next((typed[:size] for size in range(_LONGEST, 0, -1) if typed[:size] in _NAMED), "")
        if known == "\x1b" and len(typed) > 1 and typed[1] in "[O":  # a sequence that means nothing here
            end = next((at for at, one in enumerate(typed[2:], 3) if "@" <= one <= "~"), len(typed))
            typed = typed[end:]
        elif known:
            keys.append(_NAMED[known])
            typed = typed[len(known) :]
        else:
            keys += [typed[0]] if typed[0].isprintable() else []
            typed = typed[1:]
    return keys
