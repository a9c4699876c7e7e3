"""What runs gave: results, metrics and losses, of an experiment or of one code."""

from __future__ import annotations

from collections.abc import Sequence

from swarm.ledger.database import Ledger
from swarm.ledger.experiments import FLAGGED_SOURCES
from swarm.ledger.rows import ExperimentRow, RunRow
from swarm.ledger.transaction import Transaction
from swarm.records import Metrics, Run


def newest_result(ledger: Ledger, experiment: str) -> Run | None:
    """The newest result of an experiment, whatever it was."""
    return _result(
        ledger,
        "SELECT result FROM runs WHERE experiment = ? AND result IS NOT NULL"
        " AND (state != 'checked' OR failure IS NOT NULL) ORDER BY started DESC",
        experiment,
    )


def newest_run_of(ledger: Ledger, experiment: ExperimentRow) -> Run | None:
    """The newest result of the experiment's newest code that counts, be it a crash."""
    return _result(
        ledger,
        "SELECT result FROM runs WHERE experiment = ? AND source = ? AND result IS NOT NULL AND state != 'lost'"
        " AND (state != 'checked' OR failure IS NOT NULL) ORDER BY started DESC LIMIT 1",
        *(experiment.id, experiment.source),
    )


def newest_parent_run(ledger: Ledger, experiment: ExperimentRow) -> Run | None:
    """The newest measured run of the parent's code, on the experiment's own GPU if there is one."""
    return _result(
        ledger,
        "SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'measured'"
        " ORDER BY agent = ? DESC, started DESC LIMIT 1",
        *(experiment.tag, experiment.parent, experiment.owner),
    )


def newest_failed_run(ledger: Ledger, experiment: ExperimentRow) -> Run:
    """The run that failed as the experiment's row says."""
    result = ledger.value(
        "SELECT result FROM runs WHERE experiment = ? AND failure = ? ORDER BY started DESC",
        *(experiment.id, experiment.failure),
    )
    return ledger.decoded(result)


def crash_of_baseline(tx: Transaction) -> tuple[str, Run | None]:
    """Why the untouched code crashed last, and the run in which it did."""
    crash = tx.ledger.one(
        "SELECT e.reason, r.result FROM experiments e"
        " LEFT JOIN runs r ON r.experiment = e.id AND r.state = 'crashed'"
        " WHERE e.tag = ? AND e.baseline = 1 AND e.status = 'crash' ORDER BY e.verdict DESC",
        tx.tag,
    )
    return crash["reason"], tx.ledger.decoded(crash["result"]) if crash["result"] else None


def _result(ledger: Ledger, query: str, *parameters: object) -> Run | None:
    """The first stored result that the query finds; None where there is none."""
    result = ledger.value(query, *parameters)
    return ledger.decoded(result) if result else None


def metrics_of(tx: Transaction, source: str) -> list[Metrics]:
    """What the measured runs of this code printed."""
    return [run.metrics for run in measured_runs_of(tx, source) if run.metrics]


def measured_runs_of(tx: Transaction, source: str, most: int = -1) -> list[Run]:
    """The runs of this code that gave a number, whole: the newest `most`, or all."""
    rows = tx.ledger.rows(
        "SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'measured' ORDER BY started DESC, id LIMIT ?",
        *(tx.tag, source, most),
    )
    return [tx.ledger.decoded(row["result"]) for row in rows]


def traces_beside_parent(ledger: Ledger, experiment: str) -> list[tuple[Sequence[float], Sequence[float]]]:
    """The loss traces of an experiment's runs, each beside one of its parent's code on the same seed."""
    pairs = ledger.rows(
        "SELECT own.result AS own, parents.result AS parents FROM runs own JOIN runs parents"
        " ON parents.tag = own.tag AND parents.source = own.parent AND parents.seed = own.seed"
        " WHERE own.experiment = ? AND own.source != own.parent AND own.state = 'measured'"
        " AND own.purpose IN ('first', 'replicate') AND parents.state = 'measured'",
        experiment,
    )
    return [(ledger.decoded(pair["own"]).trace, ledger.decoded(pair["parents"]).trace) for pair in pairs]


def arms_of(tx: Transaction, experiment: str) -> list[tuple[str, str]]:
    """(source, parent) of the experiment's measured runs, the newest parent last.

    What was measured on a parent in quarantine is left out: that one's number was false.
    """
    rows = tx.ledger.rows(
        "SELECT source, parent FROM runs WHERE experiment = ? AND state = 'measured'"
        f" AND purpose IN ('first', 'replicate') AND parent NOT IN {FLAGGED_SOURCES}"
        " GROUP BY source, parent ORDER BY max(started)",
        *(experiment, tx.tag),
    )
    return [(row["source"], row["parent"]) for row in rows]


def values_of(tx: Transaction, source: str) -> list[float]:
    """What the runs of this code measured, oldest first, as they stand in the ledger."""
    rows = tx.ledger.rows(
        "SELECT value FROM runs WHERE tag = ? AND source = ? AND state = 'measured' ORDER BY started, id",
        *(tx.tag, source),
    )
    return [row["value"] for row in rows]


def newest_check(tx: Transaction, source: str) -> Run | None:
    """The newest run of the project's checks on this code; None where they never ended."""
    return _result(
        tx.ledger,
        "SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'checked' ORDER BY started DESC",
        *(tx.tag, source),
    )


def newest_try_of_checks(tx: Transaction, source: str) -> RunRow | None:
    """The newest run of the project's checks on this code that runs or has ended, well or not; None where there is
    none, or its machine failed it."""
    return tx.ledger.record(
        RunRow,
        "WHERE tag = ? AND source = ? AND purpose = 'check' AND state != 'lost' ORDER BY started DESC, id DESC LIMIT 1",
        *(tx.tag, source),
    )
