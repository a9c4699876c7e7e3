"""Claude's prices, and how the service's count of tokens is read."""

from __future__ import annotations

import pytest

from swarm.researchers.llm.models.anthropic import PRICES, cost, usage_in, usage_of
from swarm.researchers.llm.money import Usage, price_of

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
    assert price_of(PRICES, "brand-new").output == max(price.output for price in PRICES.values())
    assert price_of(PRICES, "claude-opus-9") == price_of(PRICES, "claude-opus-5")


def test_usage_is_read_from_the_sdks_record() -> None:
    from anthropic.types import Usage as ApiUsage  # 3 s, and every test process collects every file

    record = ApiUsage.model_validate(
        {
            "input_tokens": 7,
            "output_tokens": 5,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        }
    )
    usage = usage_of(record)
    assert usage == Usage(7, 5, 10, 20, 100)
    assert usage.prompt == 137
    assert usage.cache_share == pytest.approx(100 / 137)
    assert usage + usage == Usage(14, 10, 20, 40, 200)
    untold = ApiUsage.model_validate({"input_tokens": 7, "output_tokens": 5, "cache_creation_input_tokens": 30})
    assert usage_of(untold) == Usage(7, 5, 0, 30, 0)


def test_usage_is_read_from_plain_json() -> None:
    counts = {"input_tokens": 7, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30}
    assert usage_in(counts) == Usage(7, 5, 0, 30, 100)
    assert usage_in(None) == usage_in({"input_tokens": None}) == Usage()
