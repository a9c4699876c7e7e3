"""The full curves of a swarm, each beside its parent's of the same seed."""

from __future__ import annotations

from swarm.judge.futility import Paired, in_tenths, touches_time
from swarm.ledger.experiments import experiment
from swarm.ledger.transaction import Transaction
from swarm.records import Status

NEWEST = 200  # first runs that are looked back at: a long swarm teaches no more, and is as quick as a short one

Curve = tuple[tuple[float, float], ...]


def paired_curves(tx: Transaction) -> list[Paired]:
    """The newest first runs with a whole curve whose parent ran on that seed too, but for edits about time."""
    rows = tx.ledger.rows(
        "SELECT experiment, parent, seed, result FROM runs WHERE tag = ? AND purpose = 'first' AND state = 'measured'"
        " ORDER BY recorded DESC LIMIT ?",
        *(tx.tag, NEWEST),
    )
    found = []
    for row in rows:
        tested = experiment(tx.ledger, row["experiment"])
        if tested.gain is None or tested.status is None or touches_time(tested.diff):
            continue
        own = in_tenths(tx.ledger.decoded(row["result"]).curve)
        parent = in_tenths(curve_of(tx, row["parent"], row["seed"]))
        if own and parent:
            found.append(Paired(own, parent, tested.gain, tested.status is Status.KEEP))
    return found


def curve_of(tx: Transaction, source: str, seed: int) -> Curve:
    """The curve of that code on that seed; empty where there is none."""
    result = tx.ledger.value(
        "SELECT result FROM runs INDEXED BY runs_by_source WHERE tag = ? AND source = ? AND seed = ?"
        " AND state = 'measured' AND result IS NOT NULL ORDER BY started",
        *(tx.tag, source, seed),
    )
    return tx.ledger.decoded(result).curve if result else ()
