"""What a call of Claude Code cost, by the results that two versions of it really printed for the same three calls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.researchers.cli.claude_bill import Charge, ConversationBill
from swarm.researchers.llm.money import Usage

COUNTS = {"inputTokens": 10, "outputTokens": 100, "cacheReadInputTokens": 1000, "cacheCreationInputTokens": 0}
USAGE = {"input_tokens": 10, "output_tokens": 100, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 0}
NO_USAGE = dict.fromkeys(USAGE, 0)
CALL = Usage(input=10, output=100, cache_read=1000)


def entry(times: int, usd: float) -> dict[str, Any]:
    return {name: count * times for name, count in COUNTS.items()} | {"costUSD": usd * times}


def older(model: str = "claude-opus-4-8", usage: object = USAGE, **more: Any) -> dict[str, Any]:
    """As 2.1.197 ends a call: everything is of this call."""
    return {"total_cost_usd": 0.00305, "usage": usage, "modelUsage": {model: entry(1, 0.00305)}} | more


def newer(times: int, told_apart: bool, usage: object = USAGE, failed: bool = False) -> dict[str, Any]:
    """As 2.1.332 ends the call after which `times` were paid for: totals are of the conversation."""
    since = {} if failed else {"claude-opus-5-5": entry(1, 0.00224)}
    result = {"total_cost_usd": 0.00224 * times, "usage": NO_USAGE if failed else usage}
    result |= {"modelUsage": {"claude-opus-5-5": entry(times, 0.00224)}}
    return result | ({"model_usage_since_last_result": since} if told_apart else {})


def charged(*results: dict[str, Any]) -> list[Charge]:
    bill = ConversationBill()
    return [bill.call(result) for result in results]


def test_totals_of_a_call_are_added_up() -> None:
    # The model's name changes between the first and the second call: that is how it was.
    charges = charged(older("claude-opus-4-8[1m]"), older(), older())
    assert [charge.usd for charge in charges] == pytest.approx([0.00305] * 3)
    assert [charge.usage for charge in charges] == [CALL] * 3
    assert [charge.listed for charge in charges] == pytest.approx([0.00305] * 3)


@pytest.mark.parametrize("told_apart", [True, False])
def test_totals_of_a_conversation_are_not_added_up(told_apart: bool) -> None:
    charges = charged(*(newer(times, told_apart) for times in range(1, 34)))
    assert sum(charge.usd for charge in charges) == pytest.approx(33 * 0.00224)  # 561 times that, added up
    assert {charge.usage for charge in charges} == {CALL}
    assert not any(charge.doubtful for charge in charges)


@pytest.mark.parametrize("told_apart", [True, False])
def test_a_call_that_fails_costs_nothing(told_apart: bool) -> None:
    *_, failed = charged(newer(1, told_apart), newer(2, told_apart), newer(2, told_apart, failed=True))
    assert failed.usd == pytest.approx(0.0) and failed.usage == Usage()


def test_what_was_spent_before_the_money_ended_counts() -> None:
    """2.1.197 tells the call's money then, but none of its tokens in `usage`."""
    *_, cut = charged(older(), older(), older(usage=NO_USAGE, subtype="error_max_budget_usd", is_error=True))
    assert cut.usd == pytest.approx(0.00305) and cut.usage == CALL


def test_a_total_that_shrinks_is_of_the_call() -> None:
    big = {"total_cost_usd": 1.0, "usage": USAGE, "modelUsage": {"claude-opus-5-5": entry(400, 0.0025)}}
    assert [charge.usd for charge in charged(big, newer(1, False))] == pytest.approx([1.0, 0.00224])


def test_a_bill_is_held_against_the_price_list() -> None:
    def bill(model: str, usd: float) -> Charge:
        return charged({"total_cost_usd": usd, "modelUsage": {model: entry(100, usd / 100)}})[0]

    assert not bill("claude-opus-5-5", 0.224).doubtful
    assert not bill("claude-opus-5-5", 0.4).doubtful
    assert bill("claude-opus-5-5", 0.5).doubtful
    assert bill("claude-opus-5-5", 0.1).doubtful
    assert not bill("a-model-that-nobody-knows", 77.0).doubtful


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*COUNTS, "costUSD", "m"]), inner),
    max_leaves=12,
)
KEYS = ("total_cost_usd", "usage", "modelUsage", "model_usage_since_last_result")


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), anything), max_size=4))
def test_whatever_it_prints_is_a_bill_that_can_be_added_up(results: list[dict[str, Any]]) -> None:
    for charge in charged(*results):
        assert 0 <= charge.usd < float("inf") and charge.usage.tokens >= 0
        assert charge.listed is None or charge.doubtful in (True, False)
