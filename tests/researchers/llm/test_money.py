from __future__ import annotations

import asyncio

import pytest

from swarm.records import Dossier, Finding
from swarm.researchers.llm import money
from swarm.researchers.llm.money import Bill, OutOfMoney, OwnSpending, SharedSpending, Usage, reserved
from swarm.researchers.protocol import Exhausted


async def call(spending: OwnSpending, worst: float, real: float | None) -> bool:
    try:
        async with reserved(spending, worst) as bill:
            await asyncio.sleep(0)
            if real is not None:
                bill.usd = real
    except OutOfMoney:
        return False
    return True


def test_the_limit_holds_with_all_calls_in_flight() -> None:
    async def rush() -> tuple[int, float]:
        spending = OwnSpending(1.0)
        done = await asyncio.gather(*(call(spending, 0.3, 0.1) for _ in range(8)))
        return sum(done), spending.spent

    begun, spent = asyncio.run(rush())
    assert begun == 3  # a fourth could have cost more than is left
    assert spent == pytest.approx(0.3)


def test_what_nobody_settled_counts_at_its_worst() -> None:
    async def cancelled() -> OwnSpending:
        spending = OwnSpending(1.0)
        await call(spending, 0.4, None)
        task = asyncio.create_task(call(spending, 0.5, 0.1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return spending

    spending = asyncio.run(cancelled())
    assert spending.spent == pytest.approx(0.9)
    assert asyncio.run(spending.left()) == pytest.approx(0.1)


def test_a_receipt_counts_once_and_an_empty_spending_says_so() -> None:
    async def twice() -> None:
        spending = OwnSpending(1.0)
        receipt = await spending.reserve(Bill(1.0))
        await spending.settle(receipt, Bill(0.75))
        await spending.settle(receipt, Bill(0.75))
        assert spending.spent == 0.75
        with pytest.raises(Exhausted, match=r"money limit is reached: \$0\.75 of \$1\.00"):
            await spending.reserve(Bill(0.5))

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

    async def history(self, before: str) -> tuple[Finding, ...]:
        return ()


def test_a_shared_spending_waits_for_what_others_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(money, "_LOOK", 0.01)
    till = Till(0, 0, 7)

    async def paid() -> float:
        spending = SharedSpending("gpu0", till)
        async with reserved(spending, 0.5, Usage(input=10), "m") as bill:
            bill.usd, bill.usage = 0.2, Usage(1, 2, 3, 4, 5)
        return await spending.left()

    assert asyncio.run(paid()) == 1.5
    assert till.settled == [(7, 0.2, 13, 5, 2)]


@pytest.mark.parametrize(
    ("answer", "told"), [("the money limit is reached: x", "reached: x"), (0, "other agents hold all")]
)
def test_a_shared_spending_that_has_no_more_says_why(answer: int | str, told: str) -> None:
    with pytest.raises(OutOfMoney, match=told):
        asyncio.run(SharedSpending("gpu0", Till(answer), patience=0.01).reserve(Bill(0.5)))
