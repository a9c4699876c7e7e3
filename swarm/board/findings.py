"""What the judged experiments taught, as researchers are told it: kept at hand, so that a briefing costs what is new.

A judged experiment never changes again, but for its rung. Only where its idea stands depends on more: on the noise, and
on what the trunk has taken since.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from swarm.board import repeats
from swarm.board.standing import standing
from swarm.ledger.database import Ledger
from swarm.ledger.queries import OWN_MEAN, interval, tip
from swarm.records import Finding, Rung

KNOWN, KEPT = 400, 100  # findings told at most, the newest, and kept ones beside them: small whatever the history

# As one text, for so many rows would take long to fetch; only where it is another than before it is taken apart.
_LISTED = (
    "SELECT group_concat(id || ' ' || rung, char(10)) FROM (SELECT id, rung FROM experiments INDEXED BY {} LIMIT ?)"
)
_NEWEST = _LISTED.format("experiments_by_verdict WHERE state = 'judged' AND baseline = 0 ORDER BY judged DESC")
_KEPT = _LISTED.format(
    "experiments_kept WHERE state = 'judged' AND baseline = 0 AND status = 'keep' ORDER BY judged DESC"
)

Changes = Callable[[str, int], list[str]]  # the categories of what the trunk took since that position of that night


@dataclass
class _Memory:
    """The findings that one swarm was told last, each with the tag of its night; and the state they were told at."""

    tag: str
    found: dict[str, tuple[str, Finding]] = field(default_factory=dict)
    listed: tuple[str | None, ...] = ()
    noise: float | None = None
    tip: int = -1
    changes: Changes = lambda tag, position: []


def findings(ledger: Ledger, swarm: sqlite3.Row) -> tuple[Finding, ...]:
    """What the judged experiments of this repository taught, newest first; other nights' too."""
    memory: _Memory | None = ledger.memory.get("findings")
    if memory is None or memory.tag != swarm["tag"]:
        memory = ledger.memory["findings"] = _Memory(swarm["tag"])
    newest = tip(ledger, swarm["tag"])["position"]
    if memory.tip != newest:
        memory.changes = functools.cache(functools.partial(repeats.changes_since, ledger, swarm["tag"]))
    if (memory.tip, memory.noise) != (newest, swarm["sigma"]):
        memory.tip, memory.noise = newest, swarm["sigma"]
        memory.found = {
            id: (tag, _seen_now(known, swarm["sigma"], memory.changes(tag, known.position)))
            for id, (tag, known) in memory.found.items()
        }
    listed = ledger.value(_NEWEST, KNOWN), ledger.value(_KEPT, KEPT)
    if memory.listed != listed:
        rungs = dict(line.split(" ") for text in listed if text for line in text.split("\n"))
        memory.listed, memory.found = listed, {id: _known(ledger, swarm, memory, id, rungs[id]) for id in rungs}
    return tuple(known for _, known in memory.found.values())


def finding(swarm: sqlite3.Row, row: sqlite3.Row, changes: list[str]) -> Finding:
    """The finding of a row of experiments, with its OWN_MEAN as `value`; `changes` are what the trunk took since."""
    low, high = interval(row["gain"], row["se"])
    known = repeats.standing_of(row, swarm["sigma"])
    return Finding(
        experiment=row["id"],
        agent=row["agent"],
        title=row["title"],
        category=row["category"],
        status=row["status"],
        rung=row["rung"],
        reason=row["reason"],
        knobs=json.loads(row["knobs"]),
        value=row["value"],
        gain=row["gain"],
        low=low,
        high=high,
        n=row["n"],
        position=row["position"],
        comparable=row["key"] == swarm["key"],
        standing=known or "",
        reopened=row["rung"] == Rung.TAINTED or repeats.reopened(changes, row["category"], known),
    )


def _known(ledger: Ledger, swarm: sqlite3.Row, memory: _Memory, experiment: str, rung: str) -> tuple[str, Finding]:
    """The finding as it was told before, or looked up where it is new or stands on another rung now."""
    old = memory.found.get(experiment)
    if old and old[1].rung == rung:
        return old
    row = ledger.one(f"SELECT *, {OWN_MEAN} AS value FROM experiments WHERE id = ?", experiment)
    return row["tag"], finding(swarm, row, memory.changes(row["tag"], row["position"]))


def _seen_now(known: Finding, sigma: float | None, changes: list[str]) -> Finding:
    """The same finding at another noise, after other changes of the trunk."""
    stands = standing(known.status, known.reason, known.high, sigma)
    reopened = known.rung == Rung.TAINTED or repeats.reopened(changes, known.category, stands)
    if (stands or "", reopened) == (known.standing, known.reopened):
        return known
    return replace(known, standing=stands or "", reopened=reopened)
