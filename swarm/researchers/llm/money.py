"""What models cost: tokens, prices, and spending that no call takes over its limit."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from swarm.researchers.options import MAX_USD as MAX_USD
from swarm.researchers.protocol import BoardAccess, Exhausted

PATIENCE = 120.0  # seconds that a call waits for money which others have set aside

_MILLION = 1_000_000
_LOOK = 1.0  # seconds between two looks at it


class OutOfMoney(Exhausted):
    """The money limit is reached: nobody may begin another call."""


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

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            self.input - other.input,
            self.output - other.output,
            self.cache_write_5m - other.cache_write_5m,
            self.cache_write_1h - other.cache_write_1h,
            self.cache_read - other.cache_read,
        )

    @property
    def has_negative(self) -> bool:
        """Whether it is no usage at all, but the difference to a greater one."""
        return min(self.input, self.output, self.cache_write_5m, self.cache_write_1h, self.cache_read) < 0


NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens of a model. Reading from the cache and writing to it (for five minutes, for an hour) are
    in units of `input`; `long` holds for prompts over `long_from` tokens."""

    input: float
    output: float
    cached: float = 0.1
    long: Price | None = None
    write_5m: float = 1.25
    write_1h: float = 2.0
    long_from: int = 100_000

    def of(self, usage: Usage) -> float:
        """USD for `usage`."""
        if self.long and usage.prompt > self.long_from:
            return self.long.of(usage)
        written = self.write_5m * usage.cache_write_5m + self.write_1h * usage.cache_write_1h
        weighted = usage.input + written + self.cached * usage.cache_read
        return (weighted * self.input + usage.output * self.output) / _MILLION


def known_price(prices: Mapping[str, Price], model: str) -> Price | None:
    """The price of a model; None where the table does not know it."""
    known = [prefix for prefix in prices if model.startswith(prefix)]
    return prices[max(known, key=len)] if known else None


def price_of(prices: Mapping[str, Price], model: str) -> Price:
    """The same; the dearest of all where the table does not know the model, so that a limit holds in any case."""
    return known_price(prices, model) or max(prices.values(), key=lambda price: price.output)


# -- spending ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Bill:
    """What a call costs: its worst case, until somebody knows better."""

    usd: float
    usage: Usage = NOTHING
    model: str = ""


class Spending(Protocol):
    """Money that many calls spend at once, up to a limit. What is reserved is as good as spent until it is settled."""

    async def reserve(self, worst: Bill) -> int:
        """Sets the worst case aside and gives a receipt; OutOfMoney where a limit would be passed."""
        ...

    async def settle(self, receipt: int, bill: Bill) -> None:
        """The reserved call is over; this is the truth about it."""
        ...

    async def left(self) -> float:
        """What can still be reserved, in USD."""
        ...


class OwnSpending:
    """The spending of one researcher. Its steps never wait, so calls of one event loop cannot come between them."""

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


class SharedSpending:
    """The spending of the whole swarm, as one agent takes part in it: the board holds its limits."""

    def __init__(self, agent: str, board: BoardAccess, patience: float = PATIENCE) -> None:
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
async def reserved(spending: Spending, usd: float, usage: Usage = NOTHING, model: str = "") -> AsyncIterator[Bill]:
    """Reserves the worst case for what happens inside; however that ends, settles what the bill then says."""
    bill = Bill(usd, usage, model)
    receipt = await spending.reserve(bill)
    try:
        yield bill
    finally:
        await spending.settle(receipt, bill)
