"""Calls that are served together: each succeeds or fails alone, and no answer comes before it is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from swarm.board import server as counters
from swarm.board.board import Board
from swarm.board.server import TOGETHER, BoardServer
from swarm.errors import Fenced, Unavailable
from swarm.ledger.database import Ledger
from swarm.records import Claim, Duplicate, Idea
from tests.board.nights import Night

CALLERS = [f"gpu{number}" for number in range(8)]


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Iterator[Night]:
    """Everybody has joined; its own ledger is closed, so that the counter can have it."""
    night = make_night(agents=len(CALLERS))
    night.join()
    night.ledger.close()
    yield night
    night.ledger = night._ledger()  # for the fixture to close


@pytest.fixture
def counter(night: Night) -> Iterator[BoardServer]:
    counter = BoardServer(lambda: _board(night))
    yield counter
    counter.close()


def _board(night: Night) -> Board:
    return Board(Ledger(night.path, write=True), night.tag, str, lambda: night.clock.now, lambda: night.clock.monotonic)


def all_at_once(counter: BoardServer, *calls: tuple[object, ...]) -> list[Any]:
    """The answers, or what was raised; the request of a claim or join is its place among them."""

    async def asked(place: int, method: Any, *arguments: object) -> Any:
        request = {"request": f"{method} {place}"} if method in ("claim", "join") else {}
        return await counter.call(method, *arguments, **request)

    async def gathered() -> list[Any]:
        waiting = (asked(place, *call) for place, call in enumerate(calls))
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(gathered())


def claims(night: Night, idea: str = "idea of {}") -> list[tuple[object, ...]]:
    return [("claim", agent, night.fences[agent], Idea(idea.format(agent)), 0) for agent in night.agents]


def claimed(night: Night) -> list[str]:
    """Who has a claim, as another process sees it."""
    with contextlib.closing(Ledger(night.path)) as ledger:
        return [row["agent"] for row in ledger.rows("SELECT agent FROM experiments WHERE state = 'claimed' ORDER BY 1")]


def test_who_comes_together_is_served_in_one_transaction(
    night: Night, counter: BoardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, group = [], Ledger.group
    monkeypatch.setattr(Ledger, "group", lambda self: groups.append(1) or group(self))
    assert all(isinstance(answer, Claim) for answer in all_at_once(counter, *claims(night)))
    assert len(groups) == 1 and claimed(night) == CALLERS
    fences = all_at_once(counter, *[("join", "gpu0")] * (2 * TOGETHER + 1))
    assert len(groups) == 1 + 3, "not so many at once that the first waits for long"
    assert fences == list(range(night.fences["gpu0"] + 1, fences[-1] + 1))


def test_one_idea_is_claimed_once_however_many_come_with_it(night: Night, counter: BoardServer) -> None:
    answers = all_at_once(counter, *claims(night, "the same idea"))
    assert [type(answer) for answer in answers] == [Claim] + [Duplicate] * (len(CALLERS) - 1)


def test_a_call_that_fails_takes_back_nothing_but_itself(night: Night, counter: BoardServer) -> None:
    """Refused before its first change, and failing after some."""
    calls = claims(night)
    calls[2] = ("claim", "gpu2", -1, Idea("idea of a zombie"), 0)
    calls[5] = ("claim", "gpu5", night.fences["gpu5"], Idea("from a place that is not there"), 99)
    baseline = f"{night.tag}-gpu0-0000"
    calls.insert(3, ("projected", {baseline: "a commit", "another": object()}))  # of which the second cannot be noted
    answers = all_at_once(counter, *calls)
    failed = {place: type(answer) for place, answer in enumerate(answers) if isinstance(answer, Exception)}
    assert failed[2] is Fenced and set(failed) == {2, 3, 6}
    assert claimed(night) == [agent for agent in CALLERS if agent not in ("gpu2", "gpu5")]
    with contextlib.closing(Ledger(night.path)) as ledger:
        assert ledger.one("SELECT commit_sha FROM experiments WHERE id = ?", baseline)["commit_sha"] is None


def test_where_the_disk_refuses_nobody_is_told_that_it_went_well(night: Night, counter: BoardServer) -> None:
    all_at_once(counter, ("expire",))  # the board is open
    before, (soft, hard) = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert {type(answer) for answer in all_at_once(counter, *claims(night))} == {Unavailable}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert claimed(night) == []
    assert all(isinstance(answer, Claim) for answer in all_at_once(counter, *claims(night)))
    assert claimed(night) == CALLERS


def killed(night: Night, arm: Callable[[BoardServer], None]) -> None:
    """Everybody claims in a process of its own, which is killed as `arm` prepares it."""
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            counter = BoardServer(lambda: _board(night))
            arm(counter)
            all_at_once(counter, *claims(night))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _die(*_: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_between_the_disk_and_the_answer(night: Night, counter: BoardServer) -> None:
    """Whoever asks again with the same request is told what was done."""

    def arm(counter: BoardServer) -> None:
        vars(counters)["_Outcome"].give = _die

    killed(night, arm)
    assert claimed(night) == CALLERS
    answers = all_at_once(counter, *claims(night))
    assert [answer.agent for answer in answers] == CALLERS and claimed(night) == CALLERS
    assert [answer.experiment for answer in answers] == [f"{night.tag}-{agent}-0001" for agent in CALLERS]


def test_killed_on_the_way_to_the_disk(night: Night, counter: BoardServer) -> None:
    """None of those served together has happened, and all can be asked again."""

    def arm(counter: BoardServer) -> None:
        served = counters._outcome
        counters._outcome = lambda board, call: _die() if "gpu6" in call.arguments else served(board, call)

    killed(night, arm)
    assert claimed(night) == []
    assert all(isinstance(answer, Claim) for answer in all_at_once(counter, *claims(night)))


def test_who_goes_away_while_waiting_keeps_nobody_from_an_answer(night: Night, counter: BoardServer) -> None:
    async def impatient() -> Any:
        first, second = (
            asyncio.ensure_future(counter.call(str(name), *call, request=str(call)))
            for name, *call in claims(night)[:2]
        )
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert isinstance(asyncio.run(impatient()), Claim)
