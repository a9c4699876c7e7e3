"""Runs that blame the machine, and nobody else does, inside the board's transaction: looked at once more, and no more.

Code can kill itself, fall silent, or raise any words. So the first such end of a code is taken for the machine's and
the run is made again; the next one of the same code is that code's own, as long as others run well on that GPU. Where
they do not either, the machine is in doubt, and the run is lost like any that its machine fails.
"""

from __future__ import annotations

from msgspec.structs import replace

from swarm.ledger import run_counts
from swarm.ledger.rows import RunRow
from swarm.ledger.transaction import Transaction
from swarm.records import Failure, Purpose, Run

IN_DOUBT = 2  # other codes that ended so on a GPU since one ran well there: from then on it may be the GPU


def settled(tx: Transaction, row: RunRow, run: Run) -> Run:
    """The run itself; or, where its word is not believed any more, the same as a failure of its code."""
    if not run.own_word or run.failure not in (Failure.INFRASTRUCTURE, Failure.STALL):
        return run
    if not run_counts.blamed_before(tx, row) or not _others_run_well(tx, row):
        return run
    failure = Failure.CHECKS if row.purpose is Purpose.CHECK else Failure.CODE
    again = f"{run.reason}; again, while other code runs well here: nobody but itself blames the machine"
    return replace(run, failure=failure, reason=f"guard: {again}" if failure is Failure.CHECKS else again)


def _others_run_well(tx: Transaction, row: RunRow) -> bool:
    """Whether other code ran well on this GPU, and not too many have blamed it since."""
    blamed: set[str] = set()
    for source, own_word in run_counts.newest_of_others(tx, row):
        if not own_word:
            return True
        blamed.add(source)
        if len(blamed) >= IN_DOUBT:
            return False
    return False
