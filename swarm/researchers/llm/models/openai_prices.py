"""What OpenAI asks for its models, at its own address."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from swarm.researchers.llm.money import Price

_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def quoted(model: str) -> Price | None:
    """The price of a model by its whole name, or with a date behind it; None where the table does not know it."""
    return PRICES.get(_DATE.sub("", model))


def _with_long(price: Price) -> Price:
    """The price of a model whose requests of more than 272,000 tokens cost twice for the prompt and half again for the
    answer, as a whole."""
    beyond = dataclasses.replace(price, input=2 * price.input, output=1.5 * price.output)
    return dataclasses.replace(price, long=beyond, long_from=272_000)


# What OpenAI asks at its own address, standard tier, as others quoted https://developers.openai.com/api/docs/pricing:
# the page itself was not read.
QUOTED = "November 2026"
PRICES: Mapping[str, Price] = {
    "gpt-6-astra": _with_long(Price(10.0, 50.0)),
    "gpt-6.1-sol": _with_long(Price(2.0, 10.0, 0.05)),
    "gpt-6-sol": _with_long(Price(2.0, 10.0)),
    "gpt-6-luna": _with_long(Price(0.1, 0.5)),
    "gpt-5.6-sol": _with_long(Price(4.0, 20.0)),
    "gpt-5.6-terra": _with_long(Price(2.0, 12.0)),
    "gpt-5.6-luna": _with_long(Price(0.2, 1.2)),
    "gpt-5.5": _with_long(Price(5.0, 30.0)),
    "gpt-5.4": _with_long(Price(2.5, 15.0)),
    "gpt-5.4-mini": Price(0.75, 4.5),
    "gpt-5.4-nano": Price(0.2, 1.25),
    "gpt-5.2": Price(1.75, 14.0),
    "gpt-5.1": Price(1.25, 10.0),
    "gpt-5": Price(1.25, 10.0),
    "gpt-5-mini": Price(0.25, 2.0),
    "gpt-5-nano": Price(0.05, 0.4),
    "gpt-4.1": Price(2.0, 8.0, 0.25),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.25),
    "gpt-4.1-nano": Price(0.1, 0.4, 0.25),
    "gpt-4o": Price(2.5, 10.0, 0.5),
    "gpt-4o-mini": Price(0.15, 0.6, 0.5),
    "o3": Price(2.0, 8.0, 0.25),
    "o4-mini": Price(1.1, 4.4, 0.25),
}
