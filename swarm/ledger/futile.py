"""The full curves of a swarm, each beside its parent's of the same seed."""

from __future__ import annotations

from swarm.judge.futility import Paired, in_tenths, touches_time
from swarm.ledger.curves import left_by_runs
from swarm.ledger.experiments import experiments
from swarm.ledger.transaction import Transaction
from swarm.records import Purpose, Status


def paired_curves(tx: Transaction) -> list[Paired]:
    """Of every first run with a whole curve whose parent ran on that seed too, and whose edit is not about time."""
    curves, firsts = dict[tuple[str, int], tuple[float, ...]](), []
    for run in left_by_runs(tx.ledger, tx.tag):
        tenths = in_tenths(run.curve) if run.measured else None
        if tenths:
            curves[run.source, run.seed] = tenths
            if run.purpose == Purpose.FIRST:
                firsts.append(run)
    rows = {row.id: row for row in experiments(tx.ledger, tx.tag) if row.gain is not None and not row.baseline}
    found = []
    for run in firsts:
        row, parent = rows.get(run.experiment), curves.get((run.parent, run.seed))
        if row is not None and row.gain is not None and parent and not touches_time(row.diff):
            found.append(Paired(curves[run.source, run.seed], parent, row.gain, row.status is Status.KEEP))
    return found
