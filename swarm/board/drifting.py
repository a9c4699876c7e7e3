"""The untouched code and the champion at a swarm's end against their first runs, inside the board's transaction.

Has the metric moved by itself, as with a machine that grows warm or data that changes?"""

from __future__ import annotations

from swarm.judge.drift import Drift, drift
from swarm.ledger import trunk
from swarm.ledger.measurements import Which, noise, values
from swarm.ledger.rows import RunRow
from swarm.ledger.transaction import Transaction

ENOUGH = 4  # closing runs of a state: the fewest that any swarm with noise makes


def watch(tx: Transaction, run: RunRow) -> None:
    """After a closing run: warns, once for each, where the untouched code or the champion measures clearly otherwise
    than at the beginning. The champion's beginning is its confirmations: its first run is why it was looked at."""
    best = trunk.champion(tx.ledger, tx.tag)
    if run.source == tx.swarm.base_source:
        name, early = "the untouched code", Which.BASELINE
    elif best and run.source == best.source:
        name, early = "the champion", Which.CONFIRMING
    else:
        return
    known = noise(tx)
    late = values(tx, known, run.source, Which.CLOSING)
    found = drift(values(tx, known, run.source, early), late, known.sigma) if len(late) == ENOUGH else None
    if found:
        tx.event("swarm", "warning", _text(tx, name, early, found))


def _text(tx: Transaction, name: str, early: Which, found: Drift) -> str:
    confirmed = early is Which.CONFIRMING
    way, size = "better" if found.change > 0 else "worse", f"{abs(found.change):.4g}"
    effect = "what was put on the trunk late looks better" if found.change > 0 else "what was tried late looks worse"
    chance = f"{abs(found.errors):.1f} standard errors; by chance one comparison in twenty shows 2"
    if confirmed and found.change < 0:
        chance = f"{chance}, and more where a confirmation was won narrowly, by luck in part"
    return (
        f"{name} measures {way} at the end than {'when it was confirmed' if confirmed else 'at the beginning'}, by"
        f" {size} ({chance}): {tx.swarm.metric} drifts, with the machine, its load or the data, and {effect} than it"
        " is. The headline is not affected: both of its sides ran at the end"
    )
