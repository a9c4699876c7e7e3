"""A kept step that is caught cheating later is taken back, and all that was built on it is flagged, inside the
board's transaction. The referee draws its lots anew for every run, so a cheat may pass at first and be caught when it
is refreshed, confirmed, or run once more at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.board import confirmations
from swarm.board.rollback import go_back
from swarm.ledger import transitions, trunk
from swarm.ledger.rows import ExperimentRow, RunRow
from swarm.ledger.run_counts import found_invalid
from swarm.ledger.transaction import Transaction
from swarm.records import Check, Outcome, Run, Rung, Verdict

CLOCKED = 2  # a machine in trouble may be late once; who is late so often is caught


def expose(tx: Transaction, row: RunRow, run: Run) -> None:
    """Takes `run`, which was found invalid, for what it says of a step of the trunk, where its code is one."""
    steps = trunk.kept_experiments(tx)
    culprit = next((step for step in steps if step.source == row.source and not step.restores), None)
    if row.source == tx.swarm.base_source:
        tx.event("swarm", "warning", f"the untouched code itself was found invalid: {run.reason}")
        return
    if culprit is None or not _is_caught(tx, run, row.source):
        return
    infected = _infected(steps, row.source)
    known = culprit.rung.is_flagged
    if known and trunk.tip(tx.ledger, tx.tag).source not in infected:
        return
    isolate(tx, culprit, "found invalid", f"{run.reason} (caught in run {run.run})")
    tx.event("swarm", "invalid", f"{culprit.title}: kept, and now found invalid: {run.reason}", culprit.id)


def isolate(tx: Transaction, culprit: ExperimentRow, became: str, why: str) -> None:
    """Takes a step of the trunk back with all that was built on it. `became` says what it was, `why` for what."""
    infected = _infected(trunk.kept_experiments(tx), culprit.source or "")
    _take_back(tx, infected, f"{culprit.id} was {became}: {why}")
    transitions.taint_built_on(tx, infected, f"built on {culprit.id}, which was {became}")
    transitions.set_quarantine(tx, culprit.id, Rung.INVALID, why)
    confirmations.void(tx, infected)
    transitions.crown_anew(tx)


def _is_caught(tx: Transaction, run: Run, source: str) -> bool:
    return run.check is not Check.CLOCK or found_invalid(tx.ledger, source) >= CLOCKED


def _infected(steps: Sequence[ExperimentRow], source: str) -> set[str]:
    """The code of the step and of all that was kept on top of it; a step that restores what was before is clean."""
    infected = {source}
    for step in steps:
        if step.parent in infected and not step.restores and step.source:
            infected.add(step.source)
    return infected


def _take_back(tx: Transaction, infected: set[str], why: str) -> None:
    """The trunk goes on from its newest clean step, if it does not already."""
    newest = trunk.tip(tx.ledger, tx.tag)
    if newest.source in infected:
        clean = trunk.newest_clean_step(tx, infected)
        go_back(tx, newest, clean, why, Verdict(None, None, None, 0, why, Outcome.RESTORED))
