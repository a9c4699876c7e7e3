"""When a swarm has done enough: its experiments, its time, and how much of that the closing wave needs."""

from __future__ import annotations

import math
import sqlite3

from swarm.board import confirmations
from swarm.board.confirmations import closing_runs
from swarm.judge.confirm import FRESH_RUNS
from swarm.ledger.database import Ledger
from swarm.ledger.measurements import noise
from swarm.ledger.queries import champion, tip

PLATEAU = 150  # runs without a keep
TIME_IS_UP = "time is up"


def limit(ledger: Ledger, swarm: sqlite3.Row, agents: int, now: float, drafting: bool = False) -> str:
    """Why no new experiment may start, or "". While drafting, claims and drafts count as started.

    `agents` share the closing wave; when the time is up, only that wave still starts.
    """
    if swarm["stop"]:
        return "stopped"
    if swarm["reason"]:  # the board's own word: nothing is left to try
        return swarm["reason"]
    if _time_is_up(ledger, swarm, agents, now):
        return TIME_IS_UP
    if swarm["max_experiments"] is not None:
        states = "('claimed', 'drafted', 'testing', 'judged')" if drafting else "('testing', 'judged')"
        begun = ledger.value(
            "SELECT count(*) FROM experiments WHERE tag = ? AND baseline = 0 AND restores IS NULL"
            f" AND state IN {states}",
            swarm["tag"],
        )
        if begun >= swarm["max_experiments"]:
            return f"{swarm['max_experiments']} experiments done"
    return ""


def plateau(ledger: Ledger, tag: str) -> bool:
    """No keep for so long that all briefings should look elsewhere."""
    since = ledger.value("SELECT max(at) FROM trunk WHERE tag = ?", tag)
    runs = ledger.rows(
        "SELECT 1 FROM runs INDEXED BY runs_by_start WHERE tag = ? AND state = 'measured' AND started > ? LIMIT ?",
        *(tag, since, PLATEAU),
    )
    return len(runs) >= PLATEAU


def past_deadline(swarm: sqlite3.Row, now: float) -> bool:
    return swarm["deadline"] is not None and now >= swarm["deadline"]


def _time_is_up(ledger: Ledger, swarm: sqlite3.Row, agents: int, now: float) -> bool:
    """Whether another run would not end before the last confirmation and the closing wave must begin."""
    if swarm["deadline"] is None:
        return False
    left, run = swarm["deadline"] - now, _seconds(ledger, swarm)
    if left <= run + _end(ledger, swarm, agents):
        return True
    return left <= run + _end(ledger, swarm, agents, FRESH_RUNS) and _will_confirm(ledger, swarm)


def time_to_confirm(ledger: Ledger, swarm: sqlite3.Row, agents: int, now: float) -> bool:
    """Whether the night's last confirmation still leaves the closing wave its time, but for the last of its runs."""
    if swarm["deadline"] is None:
        return True
    return now + _end(ledger, swarm, agents, FRESH_RUNS) <= swarm["deadline"] + _seconds(ledger, swarm)


def _end(ledger: Ledger, swarm: sqlite3.Row, agents: int, confirming: int = 0) -> float:
    """How long the end of the night takes: the closing wave where there is anything to measure, and so many pairs of
    a confirmation."""
    moved = tip(ledger, swarm["tag"])["source"] != swarm["base_source"]
    pairs = (closing_runs(ledger, swarm["tag"]) if moved else 0, confirming)
    return _seconds(ledger, swarm) * sum(2 * math.ceil(count / max(1, agents)) for count in pairs)


def _seconds(ledger: Ledger, swarm: sqlite3.Row) -> float:
    """What a run takes."""
    known = ledger.value("SELECT measured_seconds / measured FROM swarms WHERE tag = ?", swarm["tag"])
    return known or swarm["budget"]


def _will_confirm(ledger: Ledger, swarm: sqlite3.Row) -> bool:
    """Whether a confirmation is open, or the champion is going to be challenged once more when the night ends."""
    if confirmations.open_one(ledger, swarm["tag"]):
        return True
    return bool(champion(ledger, swarm["tag"])) and confirmations.earned(ledger, swarm, noise(ledger, swarm), last=True)
