"""Signals that end this process in order, for verbs that start swarms of their own."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager
from types import FrameType

from swarm.signals import handled


def unwinding() -> AbstractContextManager[None]:
    """While it lasts, SIGTERM and SIGHUP end this process as Ctrl-C does: whatever is to be ended first, is."""
    return handled({signal.SIGTERM: _leave, signal.SIGHUP: _leave})


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
