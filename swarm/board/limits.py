"""When a swarm has done enough: its experiments, its time, and how much of that the closing wave needs."""

from __future__ import annotations

import math
import sqlite3

from swarm.board.ledger import Ledger
from swarm.board.stock import champion, tip
from swarm.judge.closing import CLOSING_RUNS
from swarm.judge.confirm import FRESH_RUNS

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


def closing_runs(ledger: Ledger, tag: str) -> int:
    """How many closing runs each of champion and baseline gets: a fifth of the night, within what the test needs."""
    measured = ledger.value("SELECT measured - closing FROM swarms WHERE tag = ?", tag)
    return max(FRESH_RUNS, min(CLOSING_RUNS, measured // 10))


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
    tag = swarm["tag"]
    run = ledger.value("SELECT measured_seconds / measured FROM swarms WHERE tag = ?", tag) or swarm["budget"]
    newest, best, pairs = tip(ledger, tag), champion(ledger, tag), []
    if newest["source"] != swarm["base_source"]:
        pairs.append(closing_runs(ledger, tag))
    if (best and best["source"] != newest["source"]) or _confirming(ledger, tag):
        pairs.append(FRESH_RUNS)
    waves = sum(2 * math.ceil(count / max(1, agents)) for count in pairs)
    return now + run * (1 + waves) >= swarm["deadline"]


def _confirming(ledger: Ledger, tag: str) -> bool:
    return bool(
        ledger.value("SELECT count(*) FROM confirmations WHERE tag = ? AND state = 'open' AND asked = 'swarm'", tag)
    )
