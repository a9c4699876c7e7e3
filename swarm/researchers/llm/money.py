"""What thinking costs: a snapshot of prices, the cost of a call's usage, and the purse that no call overdraws."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from swarm.researchers.protocol import Board, Exhausted

PRICED = "2026-10"  # when PRICES was copied from https://platform.claude.com/docs/en/about-claude/pricing

_MILLION = 1_000_000
_WRITE_5M, _WRITE_1H = 1.25, 2.0  # writing to the cache, in units of the input price; so for every model
PATIENCE = 120.0  # seconds that a call waits for money which others have set aside

_LOOK = 1.0  # seconds between two looks at it
_LONG = 100_000  # tokens of prompt from which on a model with a `long` price costs that


class OutOfMoney(Exhausted):
    """The money limit is reached: nobody may begin another call."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. `cached` is a cache hit in units of `input`; `long` holds for prompts over 100,000."""

    input: float
    output: float
    cached: float = 0.1
    long: Price | None = None


PRICES: Mapping[str, Price] = {  # by the beginning of the model's name; the longest one that fits counts
    "claude-fable-5-1": Price(10.0, 50.0, 0.025),
    "claude-fable": Price(10.0, 50.0),
    "claude-mythos-5-1": Price(10.0, 50.0, 0.025),
    "claude-mythos-preview": Price(25.0, 125.0),
    "claude-mythos": Price(10.0, 50.0),
    "claude-opus-5-5": Price(4.0, 20.0, 0.05),
    "claude-opus": Price(5.0, 25.0),
    "claude-sonnet-5": Price(2.0, 10.0),
    "claude-sonnet": Price(3.0, 15.0),
    "claude-haiku-5-5": Price(0.1, 0.5, long=Price(0.5, 2.5)),
    "claude-haiku": Price(1.0, 5.0),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, or of many: `+` adds them. The four kinds of input exclude each other."""

    input: int = 0
    output: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read

    @property
    def tokens(self) -> int:
        return self.prompt + self.output

    @property
    def cache_share(self) -> float:
        """The share of the prompt that came from the cache, 0 to 1."""
        return self.cache_read / self.prompt if self.prompt else 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_write_5m + other.cache_write_5m,
            self.cache_write_1h + other.cache_write_1h,
            self.cache_read + other.cache_read,
        )


NOTHING = Usage()


def usage_of(record: Any) -> Usage:
    """The `usage` of a Messages API answer. Cache writes whose lifetime it does not tell count as the dearer ones."""
    written = record.cache_creation_input_tokens or 0
    short = record.cache_creation.ephemeral_5m_input_tokens if record.cache_creation else 0
    return Usage(
        input=record.input_tokens or 0,
        output=record.output_tokens or 0,
        cache_write_5m=min(short, written),
        cache_write_1h=max(written - short, 0),
        cache_read=record.cache_read_input_tokens or 0,
    )


def usage_told(told: object) -> Usage:
    """The same where it was read as plain JSON, from a program that calls the API; what it does not tell is 0."""
    counts = told if isinstance(told, dict) else {}

    def count(name: str) -> int:
        return value if isinstance(value := counts.get(name), int) else 0

    return Usage(
        input=count("input_tokens"),
        output=count("output_tokens"),
        cache_write_1h=count("cache_creation_input_tokens"),
        cache_read=count("cache_read_input_tokens"),
    )


def price_of(model: str) -> Price:
    """The model's price; the dearest of all where the table does not know it, so that a limit holds in any case."""
    known = [prefix for prefix in PRICES if model.startswith(prefix)]
    if known:
        return PRICES[max(known, key=len)]
    return max(PRICES.values(), key=lambda price: price.output)


def cost(model: str, usage: Usage) -> float:
    """USD for `usage`."""
    price = price_of(model)
    if price.long and usage.prompt > _LONG:
        price = price.long
    weighted = usage.input + _WRITE_5M * usage.cache_write_5m + _WRITE_1H * usage.cache_write_1h
    weighted += price.cached * usage.cache_read
    return (weighted * price.input + usage.output * price.output) / _MILLION


# The purse


@dataclass(slots=True)
class Bill:
    """What a call costs: its worst case, until somebody knows better."""

    usd: float
    usage: Usage = NOTHING
    model: str = ""


class Purse(Protocol):
    """Money that many calls draw on at once. What is reserved is as good as spent until it is settled."""

    async def reserve(self, worst: Bill) -> int:
        """Sets the worst case aside and gives a receipt; OutOfMoney where a limit would be passed."""
        ...

    async def settle(self, receipt: int, bill: Bill) -> None:
        """The reserved call is over; this is the truth about it."""
        ...

    async def left(self) -> float:
        """What can still be reserved, in USD."""
        ...


class OwnPurse:
    """A purse in this process. Its steps never wait, so calls of one event loop cannot come between them."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.spent, self.used = 0.0, Usage()
        self._reserved: dict[int, float] = {}
        self._receipts = itertools.count(1)

    async def reserve(self, worst: Bill) -> int:
        if worst.usd > await self.left():
            raise OutOfMoney(f"the money limit is reached: ${self.spent:.2f} of ${self.limit:.2f} are spent")
        receipt = next(self._receipts)
        self._reserved[receipt] = worst.usd
        return receipt

    async def settle(self, receipt: int, bill: Bill) -> None:
        if self._reserved.pop(receipt, None) is not None:  # a second word on the same call changes nothing
            self.spent += bill.usd
            self.used += bill.usage

    async def left(self) -> float:
        return max(self.limit - self.spent - sum(self._reserved.values()), 0.0)


class SharedPurse:
    """The purse of the whole swarm, as one agent draws on it: its limits are the board's (swarm/board/spending.py)."""

    def __init__(self, agent: str, board: Board, patience: float = PATIENCE) -> None:
        self._agent, self._board, self._patience = agent, board, patience

    async def reserve(self, worst: Bill) -> int:
        """Near the limit the calls of others may hold what is left: waits a while for what they give back."""
        until = time.monotonic() + self._patience
        while True:
            answer = await self._board.reserve(self._agent, worst.model, worst.usd, worst.usage.tokens)
            if isinstance(answer, str):
                raise OutOfMoney(answer)
            if answer:
                return answer
            if time.monotonic() >= until:
                raise OutOfMoney("the calls of other agents hold all that is left of the money")
            await asyncio.sleep(min(_LOOK, self._patience))

    async def settle(self, receipt: int, bill: Bill) -> None:
        used = bill.usage
        await self._board.settle(receipt, bill.usd, used.prompt, used.cache_read, used.output)

    async def left(self) -> float:
        return await self._board.money_left()


@contextlib.asynccontextmanager
async def reserved(purse: Purse, usd: float, usage: Usage = NOTHING, model: str = "") -> AsyncIterator[Bill]:
    """Reserves the worst case for what happens inside; however that ends, settles what the bill then says."""
    bill = Bill(usd, usage, model)
    receipt = await purse.reserve(bill)
    try:
        yield bill
    finally:
        await purse.settle(receipt, bill)
