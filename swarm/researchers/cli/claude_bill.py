"""What a call of Claude Code cost, by the JSON object that it ends with.

Versions differ in what `total_cost_usd` and `modelUsage` count. In 2.1.197 it is this call; in 2.1.332 it is the whole
conversation, and `model_usage_since_last_result` is this call. Adding up running totals would charge n calls n/2 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from swarm.researchers.llm.models import anthropic
from swarm.researchers.llm.money import NOTHING, Usage

DOUBTFUL = 2.0  # a bill and a price list that differ by more than this factor are told to people
_SMALL = 0.01  # USD below which nobody cares
_MOST = 10**12  # tokens or USD beyond which it is no count

_COUNTS = {  # of an entry of `modelUsage`: our name for it
    "inputTokens": "input",
    "outputTokens": "output",
    "cacheCreationInputTokens": "cache_write_1h",
    "cacheReadInputTokens": "cache_read",
}


@dataclass(frozen=True, slots=True)
class Charge:
    """Money and tokens, of one call or of several. `listed` is what the tokens cost by our price list, in USD; None
    where the list lacks one of the models."""

    usd: float = 0.0
    usage: Usage = NOTHING
    listed: float | None = 0.0

    def __sub__(self, other: Charge) -> Charge:
        listed = None if self.listed is None or other.listed is None else self.listed - other.listed
        return Charge(self.usd - other.usd, self.usage - other.usage, listed)

    @property
    def doubtful(self) -> bool:
        """Whether the bill and the price list differ so much that one of them must be wrong."""
        if self.listed is None or max(self.usd, self.listed) < _SMALL:
            return False
        return max(self.usd, self.listed) > DOUBTFUL * min(self.usd, self.listed)


@dataclass(slots=True)
class ConversationBill:
    """The bill of one conversation, call by call."""

    _before: Charge = field(default_factory=Charge)  # what the newest result told in all
    _runs_on: bool | None = None  # whether totals are of the whole conversation; None until one call told it

    def call(self, result: Mapping[str, Any]) -> Charge:
        """What the call cost that ended with this result. Where a result leaves it open, the dearer reading counts."""
        told = _told(result.get("modelUsage"), result.get("total_cost_usd"))
        own = self._own(told, result)
        self._before = told
        return own if result.get("modelUsage") else replace(own, usage=anthropic.usage_in(result.get("usage")))

    def _own(self, told: Charge, result: Mapping[str, Any]) -> Charge:
        since = result.get("model_usage_since_last_result")
        if isinstance(since, dict):
            self._runs_on = True
            return _told(since, None)
        rest = told - self._before
        if rest.usd < 0 or rest.usage.has_negative:
            self._runs_on = False
        elif self._runs_on is None and (counted := anthropic.usage_in(result.get("usage")).tokens):
            whole, part = told.usage.tokens, rest.usage.tokens
            if whole != part:  # else it is the first call, which tells nothing
                self._runs_on = abs(part - counted) < abs(whole - counted)
        return rest if self._runs_on else told


def _told(models: object, total: object) -> Charge:
    """The sum over models. `total`, where it is a number, is the money; else it is the sum of theirs."""
    entries = {name: entry for name, entry in _items(models) if isinstance(entry, dict)}
    usages = {
        name: Usage(**{ours: _count(entry.get(key)) for key, ours in _COUNTS.items()})
        for name, entry in entries.items()
    }
    listed = [anthropic.listed(name, usage) for name, usage in usages.items()]
    usd = _money(total)
    if usd is None:
        usd = sum(_money(entry.get("costUSD")) or 0.0 for entry in entries.values())
    return Charge(
        usd,
        sum(usages.values(), NOTHING),
        None if None in listed or not listed else sum(price for price in listed if price is not None),
    )


def _items(models: object) -> list[tuple[str, object]]:
    return list(models.items()) if isinstance(models, dict) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST else 0


def _money(value: object) -> float | None:
    """USD, where it is a number that can be money."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < _MOST else None
