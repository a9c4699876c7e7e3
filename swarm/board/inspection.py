"""What the swarm knows against a run's own number, inside the board's transaction: each inspection gives the run as it
is, or as what it should have said."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from swarm import foreign
from swarm.board import own_word
from swarm.board.contention import undisturbed
from swarm.judge.head_start import find_head_start
from swarm.judge.lookahead import Hints, knows
from swarm.ledger import run_results
from swarm.ledger.rows import RunRow
from swarm.ledger.transaction import Transaction
from swarm.records import Check, Failure, Run

PARENTS = 50  # runs of a parent that tell what is usual; a baseline of a thousand agents has two thousand


def inspected(tx: Transaction, row: RunRow, run: Run) -> Run:
    """The run after all inspections, each of which sees what those before it found."""
    for inspect in INSPECTIONS:
        run = inspect(tx, row, run)
    return run


def _finite(tx: Transaction, row: RunRow, run: Run) -> Run:
    """A number that is none is a failure."""
    if run.metrics is None or foreign.finite(run.metrics.value) is not None:
        return run
    return replace(run, metrics=None, failure=Failure.NAN, reason=f"{tx.swarm.metric} is {run.metrics.value}")


def _within_its_time(tx: Transaction, row: RunRow, run: Run) -> Run:
    """A run that, beside its parent's, shows that it trained outside its clock is invalid."""
    if run.metrics is None or not run.metrics.audited or row.source == row.parent:
        return run
    found = find_head_start(run, run_results.measured_runs_of(tx, row.parent, PARENTS), tx.swarm.budget)
    return replace(run, metrics=None, failure=Failure.INVALID, reason=found, check=Check.CLOCK) if found else run


def _causal(tx: Transaction, row: RunRow, run: Run) -> Run:
    """A run with which all runs of its code together show that it looks ahead is invalid, if none alone showed it."""
    if run.metrics is None or not run.metrics.audited:
        return run
    known = (Hints.of(metrics.values) for metrics in (*run_results.metrics_of(tx, row.source), run.metrics))
    reason = knows(filter(None, known))
    return replace(run, metrics=None, failure=Failure.INVALID, reason=reason) if reason else run


INSPECTIONS: tuple[Callable[[Transaction, RunRow, Run], Run], ...] = (
    _finite,
    _within_its_time,
    undisturbed,
    _causal,
    own_word.settled,
)
