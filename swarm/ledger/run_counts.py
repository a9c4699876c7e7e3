"""How many runs there are, and what is known of them without their results: counts, states, and who blamed whom."""

from __future__ import annotations

from swarm.ledger.database import Ledger
from swarm.ledger.rows import RunRow
from swarm.ledger.transaction import Transaction
from swarm.records import Failure


def measured_of(ledger: Ledger, experiment: str) -> int:
    """How many runs of an experiment gave a number."""
    return ledger.value("SELECT count(*) FROM runs WHERE experiment = ? AND state = 'measured'", experiment)


def measured_baselines(ledger: Ledger, experiment: str) -> int:
    """The same of an experiment's runs as a baseline."""
    return ledger.value(
        "SELECT count(*) FROM runs WHERE experiment = ? AND purpose = 'baseline' AND state = 'measured'", experiment
    )


def is_measured(tx: Transaction, source: str) -> bool:
    """Whether any run of this code gave a number."""
    return bool(
        tx.ledger.value("SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", tx.tag, source)
    )


def is_running(tx: Transaction, source: str) -> bool:
    """Whether a run of this code is being made now."""
    return bool(
        tx.ledger.value("SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'running'", tx.tag, source)
    )


def tried(tx: Transaction, source: str) -> int:
    """How many runs of this code were made or are being made; lost ones do not count."""
    return tx.ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state != 'lost' AND purpose != 'check'",
        *(tx.tag, source),
    )


def refreshed(tx: Transaction, since: float) -> int:
    """How many runs measured a step of the trunk again since then, or are about to; lost ones do not count."""
    again = "SELECT count(*) FROM runs WHERE tag = ? AND state != 'lost' AND purpose = 'refresh' AND started >= ?"
    return tx.ledger.value(again, tx.tag, since)


def attempted(tx: Transaction, source: str) -> int:
    """How often a run of this code was tried, failed ones too; but for fillers that gave way, as they are meant to."""
    return tx.ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND purpose != 'check'"
        " AND NOT (purpose = 'filler' AND state = 'lost')",
        *(tx.tag, source),
    )


def finished_runs(ledger: Ledger, tag: str, agent: str | None = None) -> int:
    """How many runs have ended with a number or a crash, of one agent or of all."""
    return ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND agent = ifnull(?, agent) AND state IN ('measured', 'crashed')",
        *(tag, agent),
    )


def at_least_measured_since(ledger: Ledger, tag: str, since: float, number: int) -> bool:
    """Whether so many runs that began after `since` gave a number."""
    found = ledger.rows(
        "SELECT 1 FROM runs INDEXED BY runs_by_start WHERE tag = ? AND state = 'measured' AND started > ? LIMIT ?",
        *(tag, since, number),
    )
    return len(found) >= number


def any_unaudited(ledger: Ledger, source: str) -> bool:
    """Whether a measured run of this code, in any swarm, has a number that no referee measured."""
    return bool(
        ledger.value(
            "SELECT count(*) FROM runs WHERE tag IN (SELECT tag FROM swarms) AND source = ?"  # for the index's sake
            " AND state = 'measured' AND audited = 0",
            source,
        )
    )


def found_invalid(ledger: Ledger, source: str) -> int:
    """How often a run of this code was found invalid, in any swarm."""
    return ledger.value("SELECT count(*) FROM runs WHERE source = ? AND failure = ?", source, Failure.INVALID)


def blamed_before(tx: Transaction, run: RunRow) -> bool:
    """Whether an earlier run of the same code ended so that nobody but itself blamed the machine."""
    return bool(
        tx.ledger.value(
            "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND failure IS NOT NULL"
            " AND json_extract(result, '$.own_word')",
            *(tx.tag, run.source),
        )
    )


def newest_of_others(tx: Transaction, run: RunRow) -> list[tuple[str, bool]]:
    """(source, whether nobody but itself blamed the machine) of the newest runs of other code on the same GPU that
    ended by themselves, newest first."""
    rows = tx.ledger.rows(
        "SELECT source, coalesce(json_extract(result, '$.own_word'), 0) AS own_word FROM runs"
        " WHERE tag = ? AND agent = ? AND source != ? AND result IS NOT NULL AND"
        " (state IN ('measured', 'crashed', 'checked') OR json_extract(result, '$.own_word'))"
        " ORDER BY started DESC, id DESC, attempt DESC LIMIT 50",
        *(tx.tag, run.agent, run.source),
    )
    return [(row["source"], bool(row["own_word"])) for row in rows]


def peak_memory_mb(ledger: Ledger, experiment: str) -> float | None:
    """The most memory that a measured run of an experiment took; None where that is not known."""
    return ledger.value("SELECT max(peak_vram_mb) FROM runs WHERE experiment = ? AND state = 'measured'", experiment)
