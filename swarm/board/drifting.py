"""The untouched code at a swarm's end against its first runs, inside the board's transaction: has the metric moved by
itself, as with a machine that grows warm or data that changes?"""

from __future__ import annotations

from swarm.judge.drift import Drift, drift
from swarm.ledger.measurements import Which, noise, values
from swarm.ledger.rows import RunRow
from swarm.ledger.transaction import Transaction

ENOUGH = 4  # closing runs of the untouched code: the fewest that any swarm with noise makes


def watch(tx: Transaction, run: RunRow) -> None:
    """After a closing run: warns, once, where the untouched code measures clearly otherwise than at the beginning."""
    known, base = noise(tx), tx.swarm.base_source
    late = values(tx, known, base, Which.CLOSING) if run.source == base else []
    found = drift(values(tx, known, base, Which.BASELINE), late, known.sigma) if len(late) == ENOUGH else None
    if found:
        tx.event("swarm", "warning", _text(tx, found))


def _text(tx: Transaction, found: Drift) -> str:
    way = "better" if found.change > 0 else "worse"
    effect = "what was put on the trunk late looks better" if found.change > 0 else "what was tried late looks worse"
    return (
        f"the untouched code measures {way} at the end than at the beginning, by {abs(found.change):.4g}"
        f" ({abs(found.errors):.1f} standard errors; by chance one swarm in twenty shows 2): {tx.swarm.metric} drifts,"
        f" with the machine, its load or the data, and {effect} than it is. The headline is not affected: both of its"
        " sides ran at the end"
    )
