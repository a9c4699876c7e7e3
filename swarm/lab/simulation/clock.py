"""A clock that jumps: an asyncio event loop where nobody waits, and all happens in one order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run(night: Coroutine[Any, Any, Result]) -> Result:
    """Runs the coroutine to its end on a virtual clock that starts at 0. RuntimeError where all wait for nothing."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(night)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time is what was waited for. Work for threads is done at once, so that no real thread decides an order."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._jump.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # as a thread pool does: it is the caller's to handle
            done.set_exception(error)
        return done


class _Jump(selectors.SelectSelector):
    """Where a selector would wait, this one puts the clock forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits, and nothing will ever happen")
        self.now += max(0.0, timeout)
        return super().select(0) if timeout else []
