"""A virtual clock: an asyncio event loop on which waiting takes no time, and everything happens in a fixed order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

EPOCH = 1_700_000_000.0  # unix seconds at which every simulated swarm starts
HOUR = 3600.0


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Runs the coroutine to its end on a virtual clock that starts at 0. RuntimeError where all wait for nothing."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time moves only by what tasks wait for. Work for threads is done at once, so the order is always the same."""

    def __init__(self) -> None:
        self._selector_clock = _JumpingSelector()
        super().__init__(self._selector_clock)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._selector_clock.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # as a thread pool does: it is the caller's to handle
            done.set_exception(error)
        return done


class _JumpingSelector(selectors.SelectSelector):
    """Where a selector would wait, this one puts the clock forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits, and nothing will ever happen")
        self.now += max(0.0, timeout)
        return super().select(0) if timeout else []
