"""The queue before the board: calls that wait at the same time are served in one transaction.

What takes the time of a small transaction is its way to the disk. So the calls that came while the last ones were
served go there together, each in a savepoint of its own: one that fails takes back nothing but itself. Answers are
given when all of it is on disk, never before; where it cannot get there, nobody's call has happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swarm.board.board import Board
from swarm.errors import Unavailable, UsageError
from swarm.ledger.database import LedgerFault

TOGETHER = 64  # calls in one transaction at most: the first of them waits for the last


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    arguments: tuple[object, ...]
    keywords: dict[str, object]
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a call came to."""

    value: Any = None
    error: Exception | None = None

    def give(self, answer: asyncio.Future[Any]) -> None:
        if answer.done():  # the caller went away
            return
        if self.error is None:
            answer.set_result(self.value)
        else:
            answer.set_exception(self.error)


@dataclass
class BoardServer:
    """Serves the calls of all agents. `open_board` opens the board, for the first call and after a disk failure."""

    open_board: Callable[[], Board]
    _board: Board | None = field(init=False, default=None)
    _queue: list[_Call] = field(init=False, default_factory=list)

    async def call(self, method: str, *arguments: object, **keywords: object) -> Any:
        """One call to the board; its answer is on disk. Unavailable while the ledger cannot be used."""
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self._queue.append(_Call(method, arguments, keywords, answer))
        if len(self._queue) == 1:
            loop.call_soon(self._serve)
        return await answer

    def close(self) -> None:
        """Whoever calls next opens the board anew."""
        board, self._board = self._board, None
        if board:
            board.ledger.close()

    def _serve(self) -> None:
        """Serves who stands in the queue; who comes in the meantime is served next."""
        calls, self._queue = self._queue[:TOGETHER], self._queue[TOGETHER:]
        if self._queue:
            asyncio.get_running_loop().call_soon(self._serve)
        for call, outcome in zip(calls, self._outcomes(calls), strict=True):
            outcome.give(call.answer)

    def _outcomes(self, calls: list[_Call]) -> list[_Outcome]:
        """What the calls came to, all of it on disk; or that none of them happened."""
        try:
            board = self._board = self._board or self.open_board()
            with board.ledger.group():
                return [_outcome(board, call) for call in calls]
        except Exception as error:  # all callers' to handle
            self.close()  # it may have in mind what never happened
            return [_Outcome(error=_for_caller(error))] * len(calls)


def _outcome(board: Board, call: _Call) -> _Outcome:
    """What one call came to, as part of a group. OperationalError where all of the group is lost."""
    try:
        with board.ledger.transaction():
            return _Outcome(getattr(board, call.method)(*call.arguments, **call.keywords))
    except LedgerFault as error:
        if not board.ledger.in_transaction:
            raise
        return _Outcome(error=_for_caller(error))
    except Exception as error:  # its caller's to handle
        return _Outcome(error=error)


def _for_caller(error: Exception) -> Exception:
    """What a caller hears: Unavailable where it may ask again."""
    match error:
        case UsageError():  # above all: the predecessor has not quite ended, and holds the lock
            return Unavailable(str(error))
        case LedgerFault():
            return Unavailable(f"the ledger cannot be used: {error}")
    return error
