"""The nights of a repository by comparability key: only results under one key are ever ranked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from swarm.ledger.database import Ledger
from swarm.snapshot.records import NightView

_NIGHTS = """
SELECT tag, key, device, budget, status, direction,
    (SELECT count(*) FROM experiments e WHERE e.tag = s.tag AND e.baseline = 0 AND e.state = 'judged') AS experiments,
    (SELECT count(*) FROM experiments e WHERE e.tag = s.tag AND e.baseline = 0 AND e.status = 'keep'
        AND e.quarantine = '' AND e.restores IS NULL) AS kept,
    (SELECT avg(value) FROM runs r WHERE r.tag = s.tag AND r.source = s.base_source AND r.state = 'measured') AS base,
    (SELECT avg(value) FROM runs r WHERE r.tag = s.tag AND r.state = 'measured' AND r.source =
        (SELECT source FROM trunk t WHERE t.tag = s.tag ORDER BY position DESC LIMIT 1)) AS best
FROM swarms s ORDER BY started
"""
_WORDS = {
    "device": "device",
    "data": "data",
    "fixed": "fixed files",
    "threads": "number of threads",
    "torch": "torch version",
}


def nights(ledger: Ledger, swarm: sqlite3.Row) -> tuple[NightView, ...]:
    """Every night, that of `swarm` too: group by group, its own group first, and in each the best first."""
    rows = {row["tag"]: row for row in ledger.rows(_NIGHTS)}
    views = [_night(row, _parts(swarm["key"])) for row in rows.values()]
    order = list(dict.fromkeys(view.key for view in sorted(views, key=lambda view: bool(view.differs))))

    def place(view: NightView) -> tuple[int, bool, float]:
        sign = 1 if rows[view.tag]["direction"] == "lower" else -1
        return order.index(view.key), view.best is None, sign * (view.best or 0.0)

    return tuple(sorted(views, key=place))


def _night(row: sqlite3.Row, own: Mapping[str, object]) -> NightView:
    key = _parts(row["key"])
    return NightView(
        tag=row["tag"],
        key=row["key"],
        device=row["device"],
        budget=row["budget"],
        status=row["status"],
        experiments=row["experiments"],
        keep=row["kept"],
        baseline=row["base"],
        best=row["best"],
        differs=tuple(sorted(_WORDS.get(name, name) for name in own.keys() | key if own.get(name) != key.get(name))),
    )


def _parts(key: str) -> Mapping[str, object]:
    """What a comparability key is made of; a simulated night's is but a word."""
    return json.loads(key) if key.startswith("{") else {"key": key}
