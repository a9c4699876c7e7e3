"""The purse that all agents share: what is set aside, settled and presumed, and the limits that hold meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from swarm.board.spending import WAIT
from swarm.ledger.swarms import reopen
from swarm.snapshot.build import Picture
from swarm.snapshot.records import Snapshot
from tests.board.nights import Night


def reserve(night: Night, usd: float, tokens: int = 0, agent: str = "gpu0", request: str | None = None) -> int | str:
    return night.call("reserve", agent, "claude-opus-5-5", usd, tokens, request=request)


def snapshot(night: Night) -> Snapshot:
    with night.ledger.reading():
        return Picture(night.ledger, night.board.swarm).snapshot("folder", 0.0)


@pytest.fixture
def purse(make_night: Callable[..., Night]) -> Night:
    night = make_night(max_usd=1.0, max_tokens=1000)
    night.join()
    return night


def test_the_worst_case_counts_until_the_truth_is_known(purse: Night) -> None:
    receipt = reserve(purse, 0.7)
    assert reserve(purse, 0.4) == WAIT  # it may be had when the call in flight turns out cheaper
    assert purse.board.money_left() == pytest.approx(0.3)
    purse.call("settle", receipt, 0.1, 300, 200, 50)
    assert purse.board.money_left() == pytest.approx(0.9)
    assert reserve(purse, 0.91) == "the money limit is reached: $0.10 of $1.00 are spent"
    assert isinstance(reserve(purse, 0.9), int)


def test_tokens_have_a_limit_of_their_own(purse: Night) -> None:
    receipt = reserve(purse, 0.1, tokens=900)
    assert reserve(purse, 0.1, tokens=200) == WAIT
    purse.call("settle", receipt, 0.1, 700, 600, 200)
    assert reserve(purse, 0.1, tokens=101) == "the token limit is reached: 900 of 1,000 are used"
    assert reserve(purse, 0.1, tokens=100) != WAIT
    assert purse.board.money_left() == 0.0  # whoever cannot tell its tokens beforehand begins nothing any more


def test_a_repeated_call_reserves_and_settles_once(purse: Night) -> None:
    first = reserve(purse, 0.4, request="same")
    assert reserve(purse, 0.4, request="same") == first
    for usd in (0.3, 0.9):
        purse.call("settle", first, usd, 1, 0, 1)
    assert snapshot(purse).spent_usd == 0.3


@pytest.mark.parametrize("end", ["join", "leave", "expire", "end"])
def test_what_nobody_will_settle_counts_at_its_worst(purse: Night, end: str) -> None:
    receipt, other = reserve(purse, 0.4), reserve(purse, 0.2, agent="gpu1")
    if end == "join":
        purse.join("gpu0")
    elif end == "leave":
        purse.call("leave", "gpu0", purse.fences["gpu0"])
    elif end == "expire":
        purse.clock.tick(50)
        purse.board.renew("gpu1", purse.fences["gpu1"])
        purse.clock.tick(50)
        assert purse.board.expire() == ["gpu0"]
    else:
        purse.board.end("stopped")
    told = snapshot(purse)
    assert told.spent_usd == pytest.approx(0.6 if end == "end" else 0.4)
    assert told.reserved_usd == pytest.approx(0.0 if end == "end" else 0.2)
    purse.call("settle", receipt, 0.05, 1, 0, 1)  # it lived after all: the truth is better than a guess
    purse.call("settle", other, 0.2, 1, 0, 1)
    assert snapshot(purse).spent_usd == pytest.approx(0.25)


@pytest.mark.parametrize("tokens", [10**30, -(10**15), 10**400])
def test_what_is_no_number_of_tokens_settles_all_the_same(purse: Night, tokens: int) -> None:
    """A program's own bill: a payment that could not be settled would stay at its worst case for good."""
    purse.call("settle", reserve(purse, 0.4), 0.1, tokens, tokens, 7)
    told = snapshot(purse)
    assert (told.spent_usd, told.reserved_usd, told.tokens) == (pytest.approx(0.1), 0.0, 7)


def test_a_resumed_swarm_has_spent_what_it_spent(purse: Night) -> None:
    purse.call("settle", reserve(purse, 0.7), 0.7, 1, 0, 1)
    reserve(purse, 0.2)  # and the machine loses power
    purse.restart()
    reopen(purse.ledger, "apr5", {"gpu0": ("a device", "optimizer")}, purse.clock.now, None, None, "claude", "{}")
    purse.join("gpu0")
    assert purse.board.money_left() == pytest.approx(0.1)
    reopen(purse.ledger, "apr5", {}, purse.clock.now, None, None, "claude", "{}", max_usd=5.0)
    assert purse.board.money_left() == pytest.approx(4.1)


def test_without_a_limit_there_is_always_more(make_night: Callable[..., Night]) -> None:
    night = make_night()
    assert isinstance(reserve(night, 1e6, tokens=10**12), int)
    assert night.board.money_left() == float("inf")


def test_the_picture_says_who_spent_what(purse: Night) -> None:
    purse.call("settle", reserve(purse, 0.4), 0.3, 300, 200, 50)
    purse.call("settle", reserve(purse, 0.1, agent="gpu1"), 0.1, 100, 0, 50)
    reserve(purse, 0.2, 10)
    told = snapshot(purse)
    assert (told.spent_usd, told.reserved_usd, told.spend_limit_usd) == (pytest.approx(0.4), 0.2, 1.0)
    assert (told.tokens, told.token_limit, told.cache_share) == (500, 1000, 0.5)
    assert [(agent.agent, agent.usd, agent.tokens) for agent in told.agents] == [("gpu0", 0.3, 350), ("gpu1", 0.1, 150)]


def test_eight_agents_in_flight_never_pass_the_limit(make_night: Callable[..., Night]) -> None:
    """Any order of reserving and settling, with truths up to the worst case: what counts stays within the limit."""
    night, dice = make_night(agents=8, max_usd=3.0), random.Random(4)
    open_calls: list[tuple[int, float]] = []
    for _ in range(300):
        if open_calls and dice.random() < 0.5:
            receipt, worst = open_calls.pop(dice.randrange(len(open_calls)))
            night.call("settle", receipt, worst * dice.random() ** 3, 10, 0, 10)
        else:
            worst = dice.uniform(0.1, 0.6)
            answer = reserve(night, worst, agent=f"gpu{dice.randrange(8)}")
            if isinstance(answer, int) and answer:
                open_calls.append((answer, worst))
        told = snapshot(night)
        assert told.spent_usd + told.reserved_usd <= 3.0 + 1e-9
    assert snapshot(night).spent_usd > 2.4  # and it is used, but for less than one worst case
