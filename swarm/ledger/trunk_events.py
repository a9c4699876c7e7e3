"""What happened to a swarm's trunk, in the order in which the board wrote it down: its measured runs and its steps."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator

from swarm.judge.noise import Observation
from swarm.judge.trunk_levels import Event, Measured, Stepped
from swarm.ledger.experiments import FLAGGED_SOURCES
from swarm.ledger.transaction import Transaction
from swarm.records import Outcome, Purpose

_OWN = (Purpose.FIRST, Purpose.REPLICATE)


def flagged(tx: Transaction) -> frozenset[str]:
    """The code of the trunk that is in quarantine."""
    return frozenset(row["source"] for row in tx.ledger.rows(FLAGGED_SOURCES.strip("()"), tx.tag))


def events_after(tx: Transaction, recorded: int, position: int) -> Iterator[tuple[int, int, Event]]:
    """(number of the run, position of the step, what happened) after these two, in order."""
    runs = tx.ledger.rows(
        "SELECT recorded, value, source, agent, seed, steps, parent, purpose, experiment FROM runs"
        " WHERE tag = ? AND recorded > ? ORDER BY recorded",
        *(tx.tag, recorded),
    )
    known = tx.ledger.rows(
        "SELECT trunk.position, trunk.source, measured, experiment, restores, outcome FROM trunk"
        " JOIN experiments ON experiments.id = trunk.experiment"
        " WHERE trunk.tag = ? AND trunk.position > ? ORDER BY trunk.position",
        *(tx.tag, position),
    )
    steps, simpler_loss, sign = deque(known), tx.policy.rules.simpler_loss, tx.swarm.sign
    for run in runs:
        while steps and steps[0]["measured"] < run["recorded"]:
            position = steps[0]["position"]
            yield recorded, position, _stepped(steps.popleft(), simpler_loss)
        recorded = run["recorded"]
        seen = Observation(sign * run["value"], run["source"], run["agent"], run["seed"], run["steps"])
        own = run["purpose"] in _OWN
        yield recorded, position, Measured(seen, run["parent"], run["experiment"]) if own else Measured(seen)
    for step in steps:
        yield recorded, step["position"], _stepped(step, simpler_loss)


def _stepped(step: sqlite3.Row, simpler_loss: float) -> Stepped:
    idea = "" if step["restores"] else step["experiment"]
    return Stepped(step["source"], idea, -simpler_loss if step["outcome"] == Outcome.SIMPLER else 0.0)
