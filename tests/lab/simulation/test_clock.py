"""The virtual clock: hours pass in no time, in one order, and a deadlock is not taken for a wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from swarm.lab.simulation import clock


def test_waiting_takes_no_time_and_happens_in_order() -> None:
    heard: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        heard.append((name, asyncio.get_running_loop().time()))

    async def program() -> None:
        await asyncio.gather(wait("late", 86400.0 * 3), wait("early", 10.0), wait("middle", 3600.0))

    begun = time.monotonic()
    clock.run(program())
    assert heard == [("early", 10.0), ("middle", 3600.0), ("late", 86400.0 * 3)]
    assert time.monotonic() - begun < 100


def test_work_for_threads_is_done_at_once_and_its_errors_arrive() -> None:
    async def program() -> float:
        assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        return asyncio.get_running_loop().time()

    assert clock.run(program()) == 0.0


def test_a_deadlock_says_so() -> None:
    async def program() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        clock.run(program())
