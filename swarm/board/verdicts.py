"""Writing a verdict down, inside the board's transaction: the experiment's row, and the line for people."""

from __future__ import annotations

from swarm.ledger.rows import ExperimentRow
from swarm.ledger.transaction import Transaction
from swarm.ledger.transitions import set_verdict
from swarm.records import Failure, Outcome, Verdict


def close(tx: Transaction, row: ExperimentRow, verdict: Verdict, failure: Failure | None = None) -> None:
    """The experiment is judged: status and evidence go into its row, and a line to whoever watches."""
    set_verdict(tx, row.id, verdict, failure)
    tx.event(row.agent, _kind(verdict), _text(row.title, verdict), row.id)
    if verdict.outcome is Outcome.LARGE:
        tx.event("swarm", "large", f"large, unaudited: look at its diff; `swarm reject {row.id}` takes it back", row.id)


def _kind(verdict: Verdict) -> str:
    """What the line is called: the word of results.tsv, or what says more."""
    if verdict.outcome.is_near_miss:
        return Outcome.NEAR_MISS
    if verdict.outcome in (Outcome.BASELINE, Outcome.HELD):
        return verdict.outcome
    return str(verdict.status)


def _text(title: str, verdict: Verdict) -> str:
    match verdict.outcome:
        case Outcome.BASELINE:
            return verdict.reason
        case Outcome.SIMPLER:
            return f"{title}: {verdict.reason.partition(':')[0]}"
        case Outcome.BROKE_GUARD:
            return f"{verdict.reason} ({title})"
        case Outcome.CRASHED | Outcome.HELD:
            return f"{title}: {verdict.reason}"
    return f"{title}: {verdict.reason}" if verdict.outcome.is_near_miss else title
