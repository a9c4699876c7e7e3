"""A thought that does not end is ended, and its thinker let alone for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.records import Briefing, Edit, Idea, Run
from swarm.researchers.protocol import BoardAccess, Exhausted
from swarm.researchers.watchdog import Watched


class Hanging:
    """Thinks for `seconds`, about everything."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.asked, self.ended, self.connected = seconds, 0, 0, ""

    def connect(self, agent: str, board: BoardAccess) -> None:
        self.connected = agent

    async def _think(self, answer: Any) -> Any:
        self.asked += 1
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.ended += 1
            raise
        return answer

    async def propose(self, briefing: Briefing) -> Idea:
        return await self._think(Idea("x"))

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        return await self._think(Edit({}))

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        return await self._think(None)


def test_a_thought_that_hangs_is_ended_and_not_begun_again_at_once(
    brief: Callable[..., Briefing], tmp_path: Path
) -> None:
    inner = Hanging(60.0)
    watched, crashed = Watched(inner, 0.05), Run("r", 1, 0.0, 0.0, 0.0)

    async def night() -> None:
        for wait in (0.1, 0.2):  # it is let alone for longer every time
            with pytest.raises(Exhausted, match=r"thought for more than 0\.05 s"):
                await watched.edit(Idea("x"), brief(), tmp_path)
            asked, until = inner.asked, asyncio.get_running_loop().time() + wait
            with pytest.raises(Exhausted, match="it hung"):
                await watched.propose(brief())
            with pytest.raises(Exhausted, match="it hung"):
                await watched.repair(Idea("x"), Edit({}), crashed, brief(), tmp_path)
            assert inner.asked == asked
            await asyncio.sleep(until - asyncio.get_running_loop().time())
        inner.seconds = 0.0
        assert await watched.propose(brief()) == Idea("x")

    asyncio.run(night())
    assert inner.ended == 2


def test_what_ends_in_time_is_left_alone(brief: Callable[..., Briefing]) -> None:
    class Late(Hanging):
        async def propose(self, briefing: Briefing) -> Idea:
            raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        asyncio.run(Watched(Late(0.0), 5.0).propose(brief()))


def test_the_board_reaches_it() -> None:
    inner = Hanging(0.0)
    Watched(inner).connect("gpu3", None)  # type: ignore[arg-type]
    assert inner.connected == "gpu3"
