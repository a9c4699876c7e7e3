"""A researcher with a time limit: a step that takes too long is ended, and the researcher not asked for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from swarm.records import Briefing, Edit, Idea, Run
from swarm.researchers.protocol import Away, BoardAccess, Connected, Researcher

LIMIT = 1200.0  # seconds for one thought: more than any researcher that ships takes for a step
_LONGEST = 16  # limits that a researcher is let alone at most, however often it hangs

T = TypeVar("T")


class Watched:
    """The same researcher, of which no call takes longer than `limit` seconds: Away then, and at once for the
    next two limits, then four and so on, because a GPU waits while somebody hangs."""

    def __init__(self, researcher: Researcher, limit: float = LIMIT) -> None:
        self.researcher, self.limit = researcher, limit
        self._hangs, self._away_until = 0, 0.0

    def connect(self, agent: str, board: BoardAccess) -> None:
        if isinstance(self.researcher, Connected):
            self.researcher.connect(agent, board)

    async def propose(self, briefing: Briefing) -> Idea:
        self._refuse_while_away()
        return await self._within(self.researcher.propose(briefing))

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        self._refuse_while_away()
        return await self._within(self.researcher.edit(idea, briefing, folder))

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        self._refuse_while_away()
        return await self._within(self.researcher.repair(idea, edit, run, briefing, folder))

    async def _within(self, thought: Awaitable[T]) -> T:
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self.limit) as watchdog:
                answer = await thought
        except TimeoutError:
            if not watchdog.expired():  # its own
                raise
            self._hangs += 1
            self._away_until = now() + self.limit * min(2**self._hangs, _LONGEST)
            raise Away(f"it thought for more than {self.limit:g} s") from None
        self._hangs = 0
        return answer

    def _refuse_while_away(self) -> None:
        wait = self._away_until - asyncio.get_running_loop().time()
        if wait > 0:
            raise Away(f"it hung; asked again in {wait:.0f} s")
