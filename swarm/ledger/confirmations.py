"""The strict tests of a swarm, as rows: asked for, open, decided."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from msgspec import Struct

from swarm.ledger.database import Ledger
from swarm.ledger.rows import ConfirmationRow
from swarm.ledger.transaction import Transaction


class Asker(StrEnum):
    """Who asked for a confirmation."""

    SWARM = "swarm"
    CLOSING = "closing"  # the closing wave
    PEOPLE = "people"  # the verb confirm


class ConfirmationState(StrEnum):
    OPEN = "open"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


class Question(Struct, frozen=True):
    """Which state of the trunk is tested against which: experiments, and their code."""

    experiment: str
    source: str
    rival_experiment: str
    rival: str


class Figures(Struct, frozen=True):
    """What the fresh runs say; all None where they say nothing."""

    gain: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int | None = None
    m: int | None = None


def confirmation(ledger: Ledger, number: int) -> ConfirmationRow:
    """KeyError where there is none of that number."""
    return ledger.the_record(ConfirmationRow, "WHERE id = ?", number)


def confirmations(ledger: Ledger, tag: str) -> list[ConfirmationRow]:
    """All of a swarm, oldest first."""
    return ledger.records(ConfirmationRow, "WHERE tag = ? ORDER BY id", tag)


def open_confirmation(ledger: Ledger, tag: str) -> ConfirmationRow | None:
    """The one that the swarm itself asked for and that is not decided."""
    return ledger.record(ConfirmationRow, "WHERE tag = ? AND state = 'open' AND asked = ?", tag, Asker.SWARM)


def open_for_people(ledger: Ledger, tag: str, question: Question, wanted: int) -> int | None:
    """The number of the open confirmation in which people asked this very question."""
    return ledger.value(
        "SELECT id FROM confirmations WHERE tag = ? AND source = ? AND rival = ? AND wanted = ? AND asked = ?"
        " AND state = 'open'",
        *(tag, question.source, question.rival, wanted, Asker.PEOPLE),
    )


def open_with(tx: Transaction, sources: Collection[str]) -> list[ConfirmationRow]:
    """The swarm's open confirmations in which one of these sources takes part."""
    marks = ", ".join("?" * len(sources))
    return tx.ledger.records(
        ConfirmationRow,
        f"WHERE tag = ? AND state = 'open' AND asked = ? AND (source IN ({marks}) OR rival IN ({marks}))",
        *(tx.tag, Asker.SWARM, *sources, *sources),
    )


def confirmed_codes(ledger: Ledger) -> list[tuple[str, str]]:
    """(source, rival) of every confirmation that was won."""
    rows = ledger.rows("SELECT source, rival FROM confirmations WHERE state = 'confirmed'")
    return [(row["source"], row["rival"]) for row in rows]


def spent(tx: Transaction) -> tuple[int, int]:
    """How many confirmations the swarm made of its own accord, and their runs."""
    tests, runs = tx.ledger.one(
        "SELECT count(*), total(2 * wanted) FROM confirmations WHERE tag = ? AND asked = ?", tx.tag, Asker.SWARM
    )
    return tests, int(runs)


def was_tested(tx: Transaction, source: str, rival: str, asked: Asker) -> bool:
    """Whether this state has had its chance against that champion."""
    return bool(
        tx.ledger.value(
            "SELECT count(*) FROM confirmations WHERE tag = ? AND source = ? AND rival = ? AND asked = ?",
            *(tx.tag, source, rival, asked),
        )
    )


def open_new(ledger: Ledger, tag: str, question: Question, asked: Asker, wanted: int, now: float) -> int:
    """Opens a confirmation of `wanted` fresh runs of each arm; gives its number."""
    ledger.insert(
        "confirmations",
        tag=tag,
        experiment=question.experiment,
        source=question.source,
        rival_experiment=question.rival_experiment,
        rival=question.rival,
        asked=asked,
        wanted=wanted,
        began=now,
    )
    return ledger.value("SELECT last_insert_rowid()")


def set_wanted(ledger: Ledger, number: int, wanted: int) -> None:
    ledger.execute("UPDATE confirmations SET wanted = ? WHERE id = ?", wanted, number)


def close(ledger: Ledger, number: int, state: ConfirmationState, found: Figures, now: float) -> None:
    ledger.execute(
        "UPDATE confirmations SET state = ?, gain = ?, low = ?, high = ?, p = ?, n = ?, m = ?, ended = ? WHERE id = ?",
        *(state, found.gain, found.low, found.high, found.p, found.n, found.m, now, number),
    )
