"""A person's word on an experiment, inside the board's transaction: what is held is accepted or rejected, what is kept
is rejected."""

from __future__ import annotations

from swarm.board import confirmations, quarantine
from swarm.board.verdicts import close
from swarm.ledger import transitions, trunk
from swarm.ledger.experiments import experiment
from swarm.ledger.rows import ExperimentRow
from swarm.ledger.transaction import Transaction
from swarm.records import Outcome, Rung, Status, Verdict

ACCEPTED = "accepted by a person"


def accept(tx: Transaction, name: str) -> str:
    """Keeps an experiment that is held: the trunk goes on from its code. Gives why not, or "".

    It gained more than all that other steps could: where the trunk moved on meanwhile, its code stands as it was
    measured, and the steps since are undone; their ideas may be tried again on it.
    """
    row = experiment(tx.ledger, name)
    if refused := cannot_accept(row):
        return refused
    tip = trunk.tip(tx.ledger, tx.tag)
    if row.parent != tip.source:
        transitions.undo_after(tx, row.position)
        transitions.crown_anew(tx)
        transitions.set_parent(tx, name, tip.source, tip.position)
    trunk.advance(tx, row, tip.position + 1)
    reason = f"{ACCEPTED}; {row.reason}"
    close(tx, row, Verdict(Status.KEEP, row.gain, row.se, row.n, reason, Outcome.GAINED, Rung.KEPT))
    transitions.forget_commit(tx, name)
    confirmations.consider(tx)
    return ""


def reject(tx: Transaction, name: str, why: str = "") -> str:
    """Takes a kept experiment back with all that was built on it; what is held waits no longer. Gives why not."""
    row = experiment(tx.ledger, name)
    if refused := cannot_reject(row):
        return refused
    if row.outcome is Outcome.HELD:
        transitions.set_outcome(tx, name, Outcome.REJECTED)
        tx.event("you", "rejected", f"{row.title}: {why or 'it was held, and is not kept'}", name)
        return ""
    quarantine.isolate(tx, row, "rejected by a person", why or "a person looked at it")
    transitions.set_outcome(tx, name, Outcome.REJECTED)
    tx.event("you", "rejected", f"{row.title}: {why or 'taken back, with what was built on it'}", name)
    return ""


def cannot_accept(row: ExperimentRow) -> str:
    """Why this experiment is none that a person can accept; "" where it is one."""
    if row.rung.is_flagged:
        return f"{row.id} is {row.rung}: {row.quarantine or 'it was caught'}; it cannot go on the trunk"
    if row.outcome is Outcome.HELD:
        return ""
    return f"{row.id} is not held for a person: it is {row.status or row.state}; `swarm report` lists what is held"


def cannot_reject(row: ExperimentRow) -> str:
    """Why this experiment is none that a person can take back or turn down; "" where it is one."""
    if row.baseline or row.restores:
        return f"{row.id} is {'the baseline' if row.baseline else 'a step back'}: there is nothing to take back"
    if row.outcome is Outcome.HELD:
        return ""
    if row.status is not Status.KEEP:
        return f"{row.id} was not kept (it is {row.status or row.state}): there is nothing to take back"
    return f"{row.id} is {row.rung} already: the trunk went back before it" if row.rung.is_flagged else ""
