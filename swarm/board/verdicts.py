"""Writing a verdict down, inside the board's transaction: the experiment's row, the trunk, the line for people."""

from __future__ import annotations

import sqlite3

from swarm.judge.race import NEAR_MISS, SIMPLER
from swarm.ledger.database import Ledger
from swarm.records import Failure, Verdict


def advance(ledger: Ledger, swarm: sqlite3.Row, experiment: sqlite3.Row, position: int, now: float) -> None:
    """Keep, then fast-forward: the trunk takes the experiment, and its agent's branch with it."""
    tag = swarm["tag"]
    ledger.insert("trunk", tag=tag, position=position, source=experiment["source"], experiment=experiment["id"], at=now)
    ledger.execute("UPDATE experiments SET position = ? WHERE id = ?", position, experiment["id"])
    ledger.execute("UPDATE agents SET position = ? WHERE tag = ? AND agent = ?", position, tag, experiment["agent"])


def close(
    ledger: Ledger,
    swarm: sqlite3.Row,
    experiment: sqlite3.Row,
    verdict: Verdict,
    now: float,
    failure: Failure | None = None,
) -> None:
    """The experiment is judged: status and evidence go into its row, and a line to whoever watches."""
    tag = swarm["tag"]
    newest = "SELECT max(verdict) FROM experiments INDEXED BY verdicts_in_order WHERE tag = ? AND verdict IS NOT NULL"
    order = 1 + (ledger.value(newest, tag) or 0)
    ledger.execute(
        "UPDATE experiments SET state = 'judged', status = ?, rung = ?, gain = ?, se = ?, n = ?, reason = ?,"
        " failure = ?, judged = ?, verdict = ? WHERE id = ?",
        verdict.status,
        verdict.rung,
        verdict.gain,
        verdict.se,
        verdict.n,
        verdict.reason,
        failure,
        now,
        order,
        experiment["id"],
    )
    kind = "baseline" if experiment["baseline"] and not failure else str(verdict.status)
    if verdict.reason.startswith(NEAR_MISS):
        kind = NEAR_MISS
    why = f": {verdict.reason.partition(':')[0]}" if verdict.reason.startswith(SIMPLER) else ""
    told = {"keep": experiment["title"] + why, "discard": experiment["title"], "baseline": verdict.reason}
    text = told.get(kind, f"{experiment['title']}: {verdict.reason}")
    ledger.insert(
        "events", tag=tag, at=now, agent=experiment["agent"], kind=kind, text=text, experiment=experiment["id"]
    )
