"""Runs that something else on their machine slowed down, inside the board's transaction: they are made again."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from msgspec.structs import replace

from swarm.judge.contention import USUAL, affordable, bound, slowed
from swarm.ledger import run_steps
from swarm.ledger.rows import RunRow
from swarm.ledger.swarms import measured_runs
from swarm.ledger.transaction import Transaction
from swarm.records import Failure, Purpose, Run

STEPS = ("loaded_tokens", "num_steps")  # how far a run came: what the fixed loader counted comes first


def steps_of(run: Run) -> float | None:
    """How many steps the run made, where that is known; in tokens where the fixed loader counted them, which for one
    code is the same but for a factor."""
    counts = [run.metrics.values.get(name) for name in STEPS] if run.metrics else []
    return next((float(steps) for steps in counts if isinstance(steps, (int, float)) and steps > 0), None)


def undisturbed(tx: Transaction, row: RunRow, run: Run) -> Run:
    """The run itself; or, where it was slowed down and may be made again, the same as one that gave no number.

    `row` is its row in the ledger. It is compared with other runs of its code: with those on the same GPU, or else with
    those on others, over what else both ran. What new code does in its time is its own affair, and a GPU that is always
    a little slower than the others is not disturbed.
    """
    steps = steps_of(run)
    if steps is None:
        return run
    here, elsewhere = _others(tx, row)
    pace, usual = (steps, here) if here or not elsewhere else _beside(tx, row, steps, elsewhere)
    if not slowed(pace, usual, USUAL):  # no bound is narrower, and this one costs nothing
        return run
    if _too_late(tx, row, run) or not _affordable(tx, row):
        return run
    repeats = run_steps.steps_by_source_and_agent(tx.ledger, row.tag).values() if here else [usual]
    if not slowed(pace, usual, bound(repeats, len(usual))):
        return run
    than = "other runs of the same code here" if here else "this GPU does beside others that ran the same code"
    reason = f"it came {100 * (1 - pace / median(usual)):.1f}% less far than {than}: something slowed it"
    return replace(run, metrics=None, failure=Failure.CONTENTION, reason=reason)


def _others(tx: Transaction, row: RunRow) -> tuple[list[float], list[float]]:
    """The steps of all other runs of a run's code: on its GPU, and elsewhere."""
    here: list[float] = []
    elsewhere: list[float] = []
    for agent, steps in run_steps.steps_of_source(tx.ledger, row.tag, row.source):
        (here if agent == row.agent else elsewhere).append(steps)
    return here, elsewhere


def _beside(tx: Transaction, row: RunRow, steps: float, elsewhere: list[float]) -> tuple[float, list[float]]:
    """How far the first run of a code on its GPU came beside the runs of that code on others, and the same of every
    code that its GPU and others ran."""
    own: dict[str, list[float]] = defaultdict(list)
    others: dict[str, list[float]] = defaultdict(list)
    for (source, agent), made in run_steps.steps_by_source_and_agent(tx.ledger, row.tag).items():
        (own if agent == row.agent else others)[source] += made
    return steps / median(elsewhere), [median(own[code]) / median(others[code]) for code in own.keys() & others.keys()]


def _too_late(tx: Transaction, row: RunRow, run: Run) -> bool:
    """Whether a run of the closing wave, made again, would end past the deadline and leave its pair without a half."""
    deadline = tx.swarm.deadline
    return row.purpose is Purpose.CLOSING and deadline is not None and row.started + 2 * run.seconds > deadline


def _affordable(tx: Transaction, row: RunRow) -> bool:
    spent, own = run_steps.reruns(tx.ledger, row)
    return affordable(own, spent, measured_runs(tx))
