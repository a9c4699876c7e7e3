"""One earlier experiment as somebody's file of results has it, and what their words for its outcome mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from swarm import foreign

_SAID = {
    "keep": "keep kept accept accepted improved improvement best baseline win promote promoted",
    "discard": "discard discarded reject rejected revert reverted worse regress regressed regression rollback"
    " no_improvement",
    "crash": "crash crashed fail failed error oom timeout nan aborted invalid checks_failed",
}
STATUSES: Mapping[str, str] = {word: status for status, words in _SAID.items() for word in words.split()}
_RAN = frozenset(
    re.findall(r"\w+", "ok done success successful complete completed finished ran valid measured partial")
)
_LONGEST = 2000  # characters of a description
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment of an earlier file. `value` is None for a crash; `block` counts the baselines above it."""

    line: int
    commit: str
    value: float | None
    memory_mb: float | None
    status: str
    description: str
    block: int = 0


@dataclass(frozen=True, slots=True)
class Aside:
    """A line that was not understood with certainty, and why."""

    line: int
    text: str
    reason: str


class Doubt(Exception):
    """Why a line cannot be taken."""


def status_of(word: str) -> str:
    """keep, discard or crash, also where more is said (`keep-but-confounded`, `best-a5`); Doubt where it is neither."""
    plain = re.sub(r"[\s-]+", "_", word.lower().strip("*_`✅❌ \t"))
    first = re.match(r"[a-z]+(?![a-z?])", plain)
    for known in (plain, *([first[0]] if first else [])):
        if known in STATUSES:
            return STATUSES[known]
        if known in _RAN:
            raise Doubt(f"status {word[:_SHOWN]!r} says that it ran, and nothing says whether it was better")
    raise Doubt(f"status {word[:_SHOWN]!r} is none of keep, discard and crash" if plain else "no status")


def described(text: str) -> str:
    """A description in one line; Doubt where there is none."""
    description = " ".join(text.split())[:_LONGEST]
    if not description:
        raise Doubt("no description: nobody could learn from it")
    return description


def number_of(text: object) -> float | None:
    """A finite number, or None."""
    try:
        return foreign.finite(float(text) if isinstance(text, str) else text)
    except ValueError:
        return None


def column(name: str) -> str:
    """The name of a column without what does not count."""
    return re.sub(r"\W+", "_", name.lower().strip()).strip("_")
