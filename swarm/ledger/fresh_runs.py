"""Runs on fresh seeds: of a confirmation, and of the closing wave."""

from __future__ import annotations

from collections.abc import Collection

from swarm.ledger.database import Ledger
from swarm.ledger.rows import RunRow
from swarm.ledger.transaction import Transaction


def begun_of_confirmation(ledger: Ledger, confirmation: int) -> list[RunRow]:
    """The runs of a confirmation that run or have ended; a lost one is begun again."""
    return ledger.records(RunRow, "WHERE confirmation = ? AND state != 'lost'", confirmation)


def ended_of_confirmation(ledger: Ledger, confirmation: int) -> int:
    return ledger.value(
        "SELECT count(*) FROM runs WHERE confirmation = ? AND state IN ('measured', 'crashed')", confirmation
    )


def pairs_of_confirmation(ledger: Ledger, confirmation: int, source: str, rival: str) -> list[tuple[float, float]]:
    """(ours, theirs): the values of the pairs in which both runs gave a number."""
    rows = ledger.rows(
        "SELECT ours.value AS ours, theirs.value AS theirs FROM runs ours JOIN runs theirs ON theirs.seed = ours.seed"
        " AND theirs.confirmation = ours.confirmation AND theirs.source = ?1 AND theirs.state = 'measured'"
        " WHERE ours.confirmation = ?2 AND ours.source = ?3 AND ours.state = 'measured' ORDER BY ours.seed",
        *(rival, confirmation, source),
    )
    return [(row["ours"], row["theirs"]) for row in rows]


def failure_in_confirmation(ledger: Ledger, confirmation: int) -> str | None:
    """Why a run of a confirmation crashed; None where none did."""
    return ledger.value("SELECT failure FROM runs WHERE confirmation = ? AND state = 'crashed'", confirmation)


def begun_closing(tx: Transaction, sources: Collection[str]) -> list[RunRow]:
    """The closing runs of these sources that run or have ended."""
    marks = ", ".join("?" * len(sources))
    return tx.ledger.records(
        RunRow,
        f"WHERE tag = ? AND source IN ({marks}) AND purpose = 'closing' AND state != 'lost'",
        *(tx.tag, *sources),
    )
