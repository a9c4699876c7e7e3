"""How far runs came in their time: the steps of one code, on each GPU."""

from __future__ import annotations

from collections import defaultdict

from swarm.ledger.database import Ledger
from swarm.ledger.rows import RunRow
from swarm.records import Failure


def steps_of_source(ledger: Ledger, tag: str, source: str) -> list[tuple[str, float]]:
    """(agent, steps) of every measured run of a code."""
    rows = ledger.rows(
        "SELECT agent, steps FROM runs WHERE tag = ? AND source = ? AND state = 'measured' AND steps IS NOT NULL",
        *(tag, source),
    )
    return [(row["agent"], row["steps"]) for row in rows]


def steps_by_source_and_agent(ledger: Ledger, tag: str) -> dict[tuple[str, str], list[float]]:
    """The steps of all measured runs, by their code and agent."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in ledger.rows(
        "SELECT source, agent, steps FROM runs WHERE tag = ? AND state = 'measured' AND steps IS NOT NULL", tag
    ):
        groups[run["source"], run["agent"]].append(run["steps"])
    return groups


def reruns(ledger: Ledger, run: RunRow) -> tuple[int, int]:
    """How many runs the swarm made again because of contention, and how often this one."""
    spent, own = ledger.one(
        "SELECT count(*), total(id = ?) FROM runs WHERE tag = ? AND state = 'lost' AND failure = ?",
        *(run.id, run.tag, Failure.CONTENTION),
    )
    return spent, int(own)
