"""The lines for whoever watches, and the notes of people."""

from __future__ import annotations

from swarm.ledger.database import Ledger
from swarm.ledger.rows import EventRow
from swarm.ledger.transaction import Transaction
from swarm.text import printable

RESUMED = "resumed"  # the kind of the event that says that a swarm was opened again
EXHAUSTED = "exhausted"  # the kind of the event that says so: no researcher has anything left to propose


def events(ledger: Ledger, tag: str, after: int = 0) -> list[EventRow]:
    """The events of a swarm whose id is above `after`, oldest first."""
    return ledger.records(EventRow, "WHERE tag = ? AND id > ? ORDER BY id", tag, after)


def newest_event(ledger: Ledger, tag: str) -> int:
    """The id of the newest event; 0 where there is none."""
    return ledger.value("SELECT max(id) FROM events WHERE tag = ?", tag) or 0


def count_events(ledger: Ledger, tag: str, kind: str) -> int:
    return ledger.value("SELECT count(*) FROM events WHERE tag = ? AND kind = ?", tag, kind)


def is_exhausted(ledger: Ledger, tag: str) -> bool:
    """Whether nothing was left to try, and nobody opened the swarm again since."""
    kinds = "SELECT kind FROM events WHERE tag = ? AND kind IN (?, ?) ORDER BY id DESC LIMIT 1"
    return ledger.value(kinds, tag, EXHAUSTED, RESUMED) == EXHAUSTED


def was_warned(tx: Transaction, text: str) -> bool:
    """Whether people have had this very warning."""
    same = "SELECT count(*) FROM events WHERE tag = ? AND kind = 'warning' AND text = ?"
    return bool(tx.ledger.value(same, tx.tag, printable(text)))


def was_told(tx: Transaction, kind: str, experiment: str) -> bool:
    """Whether there is such an event of that experiment."""
    same = "SELECT count(*) FROM events WHERE tag = ? AND kind = ? AND experiment = ?"
    return bool(tx.ledger.value(same, tx.tag, kind, experiment))


def add_note(tx: Transaction, text: str) -> None:
    """A word from people, for every briefing from now on."""
    tx.ledger.insert("notes", tag=tx.tag, at=tx.now, text=printable(text))


def notes(ledger: Ledger, tag: str) -> list[tuple[float, str]]:
    """(unix seconds, text) of what people said, oldest first."""
    rows = ledger.rows("SELECT at, text FROM notes WHERE tag = ? ORDER BY id", tag)
    return [(row["at"], row["text"]) for row in rows]
