"""What the judged experiments taught, as briefings hold it: kept at hand, so that a briefing costs what is new.

A judged experiment never changes again, but for its rung. Only where its idea stands depends on more: on the noise, and
on what the trunk has taken since.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from swarm.board import repeats
from swarm.board.repeats import Standing
from swarm.ledger import experiments, trunk
from swarm.ledger.rows import ExperimentRow, SwarmRow
from swarm.ledger.transaction import Transaction
from swarm.records import Finding, Rung

# Findings of a briefing at most: the newest, and kept ones beside them; small whatever the history.
KNOWN, KEPT = 400, 100
PAGE = 200  # of the history, for who asks for all of it: other calls to the board wait that long

Changes = Callable[[str, int], list[str]]  # the categories of what the trunk took since that position of that swarm


@dataclass
class _Memory:
    """The findings of the last briefing, each with the tag of its swarm; and the state they were made at."""

    tag: str
    found: dict[str, tuple[str, Finding]] = field(default_factory=dict)
    listed: tuple[str | None, ...] = ()
    noise: float | None = None
    tip: int = -1
    changes: Changes = lambda tag, position: []


def findings(tx: Transaction) -> tuple[Finding, ...]:
    """What the judged experiments of this repository taught, newest first; other swarms' too."""
    ledger, sigma = tx.ledger, tx.swarm.sigma
    memory: _Memory | None = ledger.memory.get("findings")
    if memory is None or memory.tag != tx.tag:
        memory = ledger.memory["findings"] = _Memory(tx.tag)
    newest = trunk.tip(ledger, tx.tag).position
    if memory.tip != newest:
        memory.changes = functools.cache(functools.partial(repeats.changes_since, ledger, tx.tag))
    if (memory.tip, memory.noise) != (newest, sigma):
        memory.tip, memory.noise = newest, sigma
        memory.found = {
            id: (tag, _seen_now(known, sigma, memory.changes(tag, known.position)))
            for id, (tag, known) in memory.found.items()
        }
    # As texts, and taken apart only where they are others than before: so many rows would take long to fetch.
    listed = experiments.newest_ids(ledger, KNOWN), experiments.newest_kept_ids(ledger, KEPT)
    if memory.listed != listed:
        rungs = dict(line.split(" ") for text in listed if text for line in text.split("\n"))
        memory.listed, memory.found = listed, {id: _known(tx, memory, id, rungs[id]) for id in rungs}
    return tuple(known for _, known in memory.found.values())


def page_before(tx: Transaction, name: str) -> tuple[Finding, ...]:
    """The findings before that of the experiment, newest first; none where there are no older ones."""
    changes = functools.cache(functools.partial(repeats.changes_since, tx.ledger, tx.tag))
    found = []
    for id in experiments.judged_before(tx.ledger, name, PAGE):
        row = experiments.experiment(tx.ledger, id)
        value = experiments.own_mean(tx.ledger, id)
        found.append(finding(tx.swarm, row, value, changes(row.tag, row.position)))
    return tuple(found)


def finding(swarm: SwarmRow, row: ExperimentRow, value: float | None, changes: list[str]) -> Finding:
    """What a judged experiment taught. `value` is the mean of its own runs, `changes` what the trunk took since."""
    low, high = row.interval
    known = repeats.standing_of(row, swarm.sigma)
    return Finding(
        experiment=row.id,
        agent=row.agent,
        title=row.title,
        category=row.category,
        status=row.status or "",
        rung=row.rung,
        reason=row.reason,
        knobs=row.knobs,
        value=value,
        gain=row.gain,
        low=low,
        high=high,
        n=row.n,
        position=row.position,
        comparable=row.key == swarm.key,
        standing=known or "",
        reopened=row.rung is Rung.TAINTED or repeats.reopened(changes, row.category, known),
    )


def _known(tx: Transaction, memory: _Memory, name: str, rung: str) -> tuple[str, Finding]:
    """The finding as it was before, or looked up where it is new or stands on another rung now."""
    old = memory.found.get(name)
    if old and old[1].rung == rung:
        return old
    row = experiments.experiment(tx.ledger, name)
    value = experiments.own_mean(tx.ledger, name)
    return row.tag, finding(tx.swarm, row, value, memory.changes(row.tag, row.position))


def _seen_now(known: Finding, sigma: float | None, changes: list[str]) -> Finding:
    """The same finding at another noise, after other changes of the trunk."""
    stands = Standing(known.standing)
    if stands in (Standing.REFUTED, Standing.UNPROVEN):
        stands = repeats.without_gain(known.high, sigma)
    reopened = known.rung == Rung.TAINTED or repeats.reopened(changes, known.category, stands)
    if (stands, reopened) == (known.standing, known.reopened):
        return known
    return replace(known, standing=stands, reopened=reopened)
