"""Runs that something else on their machine slowed down, inside the board's transaction: they are made again."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import replace
from statistics import median

from swarm.judge.contention import USUAL, affordable, bound, slowed
from swarm.ledger.database import Ledger
from swarm.records import Failure, Run

STEPS = ("loaded_tokens", "num_steps")  # how far a run came: what the fixed loader counted comes first


def steps_of(run: Run) -> float | None:
    """How many steps the run made, where that is known; in tokens where the fixed loader counted them, which for one
    code is the same but for a factor."""
    told = [run.metrics.values.get(name) for name in STEPS] if run.metrics else []
    return next((float(steps) for steps in told if isinstance(steps, (int, float)) and steps > 0), None)


def undisturbed(ledger: Ledger, row: sqlite3.Row, run: Run) -> Run:
    """The run itself; or, where it was slowed down and may be made again, the same as one that gave no number.

    `row` is its row in the ledger. It is compared with other runs of its code: with those on the same GPU, or else with
    those on others, over what else both ran. What new code does in its time is its own affair, and a GPU that is always
    a little slower than the others is not disturbed.
    """
    steps, tag = steps_of(run), row["tag"]
    if steps is None:
        return run
    here, elsewhere = _others(ledger, row)
    pace, usual = (steps, here) if here or not elsewhere else _beside(ledger, row, steps, elsewhere)
    if not slowed(pace, usual, USUAL):  # no bound is narrower, and this one costs nothing
        return run
    if _too_late(ledger, row, run) or not _affordable(ledger, tag, row["id"]):
        return run
    if not slowed(pace, usual, bound(_repeats(ledger, tag).values() if here else [usual], len(usual))):
        return run
    than = "other runs of the same code here" if here else "this GPU does beside others that ran the same code"
    reason = f"it came {100 * (1 - pace / median(usual)):.1f}% less far than {than}: something slowed it"
    return replace(run, metrics=None, failure=Failure.CONTENTION, reason=reason)


def _others(ledger: Ledger, row: sqlite3.Row) -> tuple[list[float], list[float]]:
    """The steps of all other runs of a run's code: on its GPU, and elsewhere."""
    here: list[float] = []
    elsewhere: list[float] = []
    for other in ledger.rows(
        "SELECT agent, steps FROM runs WHERE tag = ? AND source = ? AND state = 'measured' AND steps IS NOT NULL",
        *(row["tag"], row["source"]),
    ):
        (here if other["agent"] == row["agent"] else elsewhere).append(other["steps"])
    return here, elsewhere


def _beside(ledger: Ledger, row: sqlite3.Row, steps: float, elsewhere: list[float]) -> tuple[float, list[float]]:
    """How far the first run of a code on its GPU came beside the runs of that code on others, and the same of every
    code that its GPU and others ran."""
    own: dict[str, list[float]] = defaultdict(list)
    others: dict[str, list[float]] = defaultdict(list)
    for (source, agent), made in _repeats(ledger, row["tag"]).items():
        (own if agent == row["agent"] else others)[source] += made
    return steps / median(elsewhere), [median(own[code]) / median(others[code]) for code in own.keys() & others.keys()]


def _too_late(ledger: Ledger, row: sqlite3.Row, run: Run) -> bool:
    """Whether a run of the closing wave, made again, would end past the deadline and leave its pair without a half."""
    deadline = ledger.value("SELECT deadline FROM swarms WHERE tag = ?", row["tag"])
    return row["purpose"] == "closing" and deadline is not None and row["started"] + 2 * run.seconds > deadline


def _affordable(ledger: Ledger, tag: str, run: str) -> bool:
    spent, reruns = ledger.one(
        "SELECT count(*), total(id = ?) FROM runs WHERE tag = ? AND state = 'lost' AND failure = ?",
        *(run, tag, Failure.CONTENTION),
    )
    return affordable(int(reruns), spent, ledger.value("SELECT measured FROM swarms WHERE tag = ?", tag))


def _repeats(ledger: Ledger, tag: str) -> dict[tuple[str, str], list[float]]:
    """The steps of all measured runs, by their code and GPU."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in ledger.rows(
        "SELECT source, agent, steps FROM runs WHERE tag = ? AND state = 'measured' AND steps IS NOT NULL", tag
    ):
        groups[run["source"], run["agent"]].append(run["steps"])
    return groups
