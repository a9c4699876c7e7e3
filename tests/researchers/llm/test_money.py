from __future__ import annotations

import asyncio

import pytest
from anthropic.types import Usage as ApiUsage

from swarm.records import Dossier
from swarm.researchers.llm import money
from swarm.researchers.llm.money import (
    PRICES,
    Bill,
    OutOfMoney,
    OwnPurse,
    SharedPurse,
    Usage,
    cost,
    price_of,
    reserved,
    usage_of,
    usage_told,
)
from swarm.researchers.protocol import Exhausted

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("claude-opus-5-5", Usage(input=MILLION), 4.0),
        ("claude-opus-5-5", Usage(output=MILLION), 20.0),
        ("claude-opus-5-5", Usage(cache_write_5m=MILLION), 5.0),
        ("claude-opus-5-5", Usage(cache_write_1h=MILLION), 8.0),
        ("claude-opus-5-5", Usage(cache_read=MILLION), 0.2),
        ("claude-opus-4-8", Usage(cache_read=MILLION), 0.5),
        ("claude-sonnet-5-5", Usage(cache_read=MILLION), 0.2),
        ("claude-sonnet-4-5-20250929", Usage(output=MILLION), 15.0),
        ("claude-haiku-5-5", Usage(output=MILLION), 0.5),
        ("claude-haiku-5-5", Usage(cache_read=200_000, output=MILLION), 0.01 + 2.5),
    ],
)
def test_cost_follows_the_price_list(model: str, usage: Usage, usd: float) -> None:
    assert cost(model, usage) == pytest.approx(usd)


def test_an_unknown_model_is_never_too_cheap() -> None:
    assert price_of("brand-new").output == max(price.output for price in PRICES.values())
    assert price_of("claude-opus-9") == price_of("claude-opus-5")


def test_usage_is_read_from_the_sdks_record() -> None:
    told = ApiUsage.model_validate(
        {
            "input_tokens": 7,
            "output_tokens": 5,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        }
    )
    usage = usage_of(told)
    assert usage == Usage(7, 5, 10, 20, 100)
    assert usage.prompt == 137
    assert usage.cache_share == pytest.approx(100 / 137)
    assert usage + usage == Usage(14, 10, 20, 40, 200)
    untold = ApiUsage.model_validate({"input_tokens": 7, "output_tokens": 5, "cache_creation_input_tokens": 30})
    assert usage_of(untold) == Usage(7, 5, 0, 30, 0)


async def call(purse: OwnPurse, worst: float, real: float | None) -> bool:
    try:
        async with reserved(purse, worst) as bill:
            await asyncio.sleep(0)
            if real is not None:
                bill.usd = real
    except OutOfMoney:
        return False
    return True


def test_the_limit_holds_with_all_calls_in_flight() -> None:
    async def rush() -> tuple[int, float]:
        purse = OwnPurse(1.0)
        done = await asyncio.gather(*(call(purse, 0.3, 0.1) for _ in range(8)))
        return sum(done), purse.spent

    begun, spent = asyncio.run(rush())
    assert begun == 3  # a fourth could have cost more than is left
    assert spent == pytest.approx(0.3)


def test_what_nobody_settled_counts_at_its_worst() -> None:
    async def cancelled() -> OwnPurse:
        purse = OwnPurse(1.0)
        await call(purse, 0.4, None)
        task = asyncio.create_task(call(purse, 0.5, 0.1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return purse

    purse = asyncio.run(cancelled())
    assert purse.spent == pytest.approx(0.9)
    assert asyncio.run(purse.left()) == pytest.approx(0.1)


def test_a_receipt_counts_once_and_an_empty_purse_says_so() -> None:
    async def twice() -> None:
        purse = OwnPurse(1.0)
        receipt = await purse.reserve(Bill(1.0))
        await purse.settle(receipt, Bill(0.75))
        await purse.settle(receipt, Bill(0.75))
        assert purse.spent == 0.75
        with pytest.raises(Exhausted, match=r"money limit is reached: \$0\.75 of \$1\.00"):
            await purse.reserve(Bill(0.5))

    asyncio.run(twice())


class Till:
    """A board that gives these answers, one after another."""

    def __init__(self, *answers: int | str) -> None:
        self.answers, self.settled = list(answers), []

    async def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None:
        self.settled.append((receipt, usd, prompt, cached, output))

    async def money_left(self) -> float:
        return 1.5

    async def dossier(self, experiment: str) -> Dossier | None: ...


def test_a_shared_purse_waits_for_what_others_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(money, "_LOOK", 0.01)
    till = Till(0, 0, 7)

    async def paid() -> float:
        purse = SharedPurse("gpu0", till)
        async with reserved(purse, 0.5, Usage(input=10), "m") as bill:
            bill.usd, bill.usage = 0.2, Usage(1, 2, 3, 4, 5)
        return await purse.left()

    assert asyncio.run(paid()) == 1.5
    assert till.settled == [(7, 0.2, 13, 5, 2)]


@pytest.mark.parametrize(
    ("answer", "told"), [("the money limit is reached: x", "reached: x"), (0, "other agents hold all")]
)
def test_a_shared_purse_that_has_no_more_says_why(answer: int | str, told: str) -> None:
    with pytest.raises(OutOfMoney, match=told):
        asyncio.run(SharedPurse("gpu0", Till(answer), patience=0.01).reserve(Bill(0.5)))


def test_usage_told_as_json() -> None:
    told = {"input_tokens": 7, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30}
    assert usage_told(told) == Usage(7, 5, 0, 30, 100)
    assert usage_told(None) == usage_told({"input_tokens": None}) == Usage()
