"""Entering a run in the ledger, inside the board's transaction: its id, its attempt, its seed."""

from __future__ import annotations

import sqlite3

from swarm.ledger.database import Ledger
from swarm.records import Measure, Purpose

# Run k of anything has seed 1000 + k. Fresh evidence never shares a seed with what was selected, nor with other fresh
# evidence: the closing wave has seeds of its own, and so has every confirmation.
SELECTION_SEEDS, CLOSING_SEEDS, CONFIRM_SEEDS = 1000, 9001, 10_000
SEEDS_EACH = 1000  # of a confirmation

JUDGED = ("baseline", "first", "replicate")  # the purposes of runs that an experiment is judged on


def begin(
    ledger: Ledger,
    swarm: sqlite3.Row,
    agent: str,
    fence: int,
    experiment: sqlite3.Row,
    purpose: Purpose,
    code: tuple[str, str],
    now: float,
    *,
    seed: int | None = None,
    confirmation: int | None = None,
) -> Measure:
    """Enters a run of `code` (source, its parent): a lost one again under its own id and seed, or else a new one.

    `seed` None is the next one that may serve selection.
    """
    source, parent = code
    again = ledger.row(
        "SELECT id, seed, max(attempt) AS attempt FROM runs WHERE experiment = ? AND purpose = ? AND source = ?"
        " AND seed = coalesce(?, seed) AND confirmation IS ? GROUP BY id HAVING sum(state != 'lost') = 0",
        *(experiment["id"], purpose, source, seed, confirmation),
    )
    if again:
        run, number, attempt = again["id"], again["seed"], again["attempt"] + 1
    else:
        used = ledger.value("SELECT count(DISTINCT id) FROM runs WHERE experiment = ?", experiment["id"])
        run, attempt = f"{experiment['id']}.{used + 1}", 1
        number = _next_seed(ledger, swarm["tag"], source) if seed is None else seed
    ledger.insert(
        "runs",
        id=run,
        attempt=attempt,
        tag=swarm["tag"],
        experiment=experiment["id"],
        agent=agent,
        purpose=purpose,
        seed=number,
        source=source,
        parent=parent,
        state="running",
        fence=fence,
        started=now,
        confirmation=confirmation,
    )
    title, budget = experiment["title"], swarm["budget"]
    return Measure(run, attempt, experiment["id"], title, purpose, number, source, parent, budget)


def confirmation_seed(confirmation: int, pair: int) -> int:
    """Both runs of a pair have it, and no other run ever."""
    return CONFIRM_SEEDS + SEEDS_EACH * confirmation + pair


def _next_seed(ledger: Ledger, tag: str, source: str) -> int:
    earlier = ledger.value(
        "SELECT count(DISTINCT id) FROM runs WHERE tag = ? AND source = ? AND purpose NOT IN ('closing', 'confirm')",
        *(tag, source),
    )
    return SELECTION_SEEDS + earlier + 1
