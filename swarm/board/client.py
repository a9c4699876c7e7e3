"""The board as an agent sees it: the same calls, awaited, each with a request id that survives repetition."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from swarm.board.board import Board
from swarm.records import (
    Briefing,
    Change,
    Claim,
    Code,
    Dossier,
    Duplicate,
    Entered,
    Finding,
    Idea,
    LeaveOut,
    Rebase,
    Run,
    Source,
    Stop,
    Verdict,
    Work,
)

Call = Callable[..., Awaitable[Any]]

SOURCES = 64  # that are kept at hand: a source may have megabytes, and a swarm thousands of them


class BoardClient:
    """`call(method, *arguments, **keywords)` carries one call to the board, wherever it lives, and may repeat it."""

    def __init__(self, call: Call):
        self._call = call
        self._sources: dict[str, Source] = {}

    async def _once(self, method: str, *arguments: object) -> Any:
        return await self._call(method, *arguments, request=uuid.uuid4().hex)

    async def join(self, agent: str) -> int:
        return await self._once("join", agent)

    async def renew(self, agent: str, fence: int) -> str:
        return await self._call("renew", agent, fence)

    async def leave(self, agent: str, fence: int) -> None:
        await self._once("leave", agent, fence)

    async def retire(self, agent: str, fence: int) -> None:
        await self._once("retire", agent, fence)

    async def wants_draft(self, agent: str) -> bool:
        return await self._call("wants_draft", agent)

    async def briefing(self, agent: str) -> Briefing:
        return await self._call("briefing", agent)

    async def dossier(self, experiment: str) -> Dossier | None:
        return await self._call("dossier", experiment)

    async def history(self, before: str) -> tuple[Finding, ...]:
        return await self._call("history", before)

    async def source(self, sha: str) -> Source:
        """A source never changes: it is asked for once, as long as it is among the last that were."""
        if sha not in self._sources:
            source = await self._call("source", sha)
            if len(self._sources) >= SOURCES:
                del self._sources[next(iter(self._sources))]
            self._sources[sha] = source
        return self._sources[sha]

    async def claim(self, agent: str, fence: int, idea: Idea, position: int) -> Claim | Duplicate | Stop:
        return await self._once("claim", agent, fence, idea, position)

    async def exhausted(self, agent: str, fence: int, known: int, why: str) -> None:
        await self._call("exhausted", agent, fence, known, why)

    async def neighbours(self) -> tuple[Change, ...]:
        return await self._call("neighbours")

    async def enter(self, claim: Claim, code: Code, like: str = "") -> Entered | Duplicate:
        return await self._once("enter", claim, code, like)

    async def release(self, claim: Claim, reason: str) -> None:
        await self._once("release", claim, reason)

    async def next_work(self, agent: str, fence: int, mending: bool = False) -> Work:
        return await self._once("next_work", agent, fence, mending)

    async def rebase(self, agent: str, fence: int, order: Rebase, code: Code | None) -> None:
        await self._once("rebase", agent, fence, order, code)

    async def left_out(
        self, agent: str, fence: int, order: LeaveOut, made: Source | None, steps: tuple[str, ...], fault: str
    ) -> None:
        await self._once("left_out", agent, fence, order, made, steps, fault)

    async def mend(self, agent: str, fence: int, experiment: str, code: Code | None) -> None:
        await self._once("mend", agent, fence, experiment, code)

    async def record(self, agent: str, fence: int, run: Run) -> Verdict | None:
        return await self._once("record", agent, fence, run)

    async def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str:
        return await self._once("reserve", agent, model, usd, tokens)

    async def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None:
        await self._once("settle", receipt, usd, prompt, cached, output)

    async def money_left(self) -> float:
        return await self._call("money_left")

    async def warn(self, agent: str, text: str) -> None:
        await self._once("warn", agent, text)


def local_client(board: Board) -> BoardClient:
    """A client of a board in this very process."""

    async def call(method: str, *arguments: object, **keywords: object) -> Any:
        return getattr(board, method)(*arguments, **keywords)

    return BoardClient(call)
