"""What was read and still holds: the only writer of a ledger knows what it changed since, and need not ask again.

The board asks the same few questions at every call (the swarm's row, the trunk's tip, who leads), mostly of tables that
nothing was written to in between.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Hashable
from typing import Any

from swarm.ledger.schema import TABLES

MOST = 2048  # answers at hand, after which all are dropped; small ones, as LONGEST rows are the most of one
LONGEST = 64
_NEVER_ASKED_TWICE = frozenset({"answers", "sources"})  # each by its own key, and sources are large

_NAMES = frozenset(re.findall(r"CREATE TABLE (\w+)", TABLES))
_WORDS = re.compile(r"\w+")
_TRIGGERS = re.findall(r"CREATE TRIGGER .*? ON (\w+) (.*?END;)", TABLES, re.DOTALL)
_TRIGGERED = {
    table: _NAMES.intersection(_WORDS.findall(" ".join(body for other, body in _TRIGGERS if other == table)))
    for table, _ in _TRIGGERS
}


class Reads:
    """Answers by their question, each as old as the last change of a table that the question names."""

    def __init__(self) -> None:
        self._changes = dict.fromkeys(_NAMES, 0)
        self._answers: dict[Hashable, tuple[int, Any]] = {}

    def answer(self, key: Hashable, sql: str, ask: Callable[[], Any]) -> Any:
        """What `ask` gives, now or when it was last asked. `key` is the question, in which `sql` is all that says of
        which tables it is."""
        tables = _asked_of(sql)
        if not tables:
            return ask()
        age = sum(self._changes[table] for table in tables)
        known = self._answers.get(key)
        if known is not None and known[0] == age:
            return known[1]
        found = ask()
        if isinstance(found, tuple) and len(found) > LONGEST:
            return found
        if len(self._answers) >= MOST:
            self._answers.clear()
        self._answers[key] = age, found
        return found

    def written(self, sql: str) -> None:
        """The statement was run."""
        for table in _changed_by(sql):
            self._changes[table] += 1

    def forget(self) -> None:
        """A change was taken back, or somebody else may have made one."""
        self._answers.clear()


@functools.lru_cache(maxsize=1024)
def _asked_of(sql: str) -> tuple[str, ...]:
    """The tables that a question may be of; () where its answers are not to be kept."""
    named = _NAMES.intersection(_WORDS.findall(sql))
    return () if named & _NEVER_ASKED_TWICE else tuple(named)


@functools.lru_cache(maxsize=1024)
def _changed_by(sql: str) -> frozenset[str]:
    """The tables that a statement may change, by itself or by what it triggers."""
    named = _NAMES.intersection(_WORDS.findall(sql))
    return named.union(*(_TRIGGERED.get(table, ()) for table in named))
