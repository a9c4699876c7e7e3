"""What is worth waking somebody for: a champion, a row of crashes, a limit, the end. Read from the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass

from swarm.board.limits import limit
from swarm.ledger.database import Ledger
from swarm.ledger.queries import own_mean

STREAK = 5  # crashes in a row, of the whole swarm
ENDS = ("finished", "stopped", "failed")
TOLD = ("champion", "invalid", *ENDS)


@dataclass(frozen=True, slots=True)
class News:
    """One message to people. `kind` is champion, crashes, limit, finished, stopped or failed."""

    tag: str
    kind: str
    text: str
    at: float  # unix seconds
    experiment: str | None = None
    metric: str = ""
    value: float | None = None  # of the experiment


class Newsroom:
    """Tells each piece of news once, from the moment it is made on."""

    def __init__(self, ledger: Ledger, tag: str):
        self._ledger, self._tag = ledger, tag
        self._last = ledger.value("SELECT max(id) FROM events WHERE tag = ?", tag) or 0
        self._streak = self._limit = False

    def look(self) -> list[News]:
        """What is new since the last look, oldest first."""
        swarm = self._ledger.one("SELECT * FROM swarms WHERE tag = ?", self._tag)
        news = [self._crashes(), self._reached(swarm)]
        rows = self._ledger.rows("SELECT * FROM events WHERE tag = ? AND id > ? ORDER BY id", self._tag, self._last)
        for row in rows:
            self._last = row["id"]
            if row["kind"] in TOLD:
                text, id = row["text"], row["experiment"]
                title = self._ledger.value("SELECT title FROM experiments WHERE id = ?", id)
                value = own_mean(self._ledger, id) if id else None
                text = f"{title}: {text}" if title else text
                news.append(News(self._tag, row["kind"], text, row["at"], id, swarm["metric"], value))
        return [item for item in news if item]

    def _crashes(self) -> News | None:
        rows = self._ledger.rows(
            "SELECT id, status, reason FROM experiments WHERE tag = ? AND verdict IS NOT NULL"
            " ORDER BY verdict DESC LIMIT ?",
            *(self._tag, STREAK),
        )
        before = self._streak
        self._streak = len(rows) == STREAK and all(row["status"] == "crash" for row in rows)
        if before or not self._streak:
            return None
        text = f"{STREAK} experiments in a row crashed, the last with: {rows[0]['reason']}"
        return News(self._tag, "crashes", text, time.time(), rows[0]["id"])

    def _reached(self, swarm) -> News | None:
        if self._limit or swarm["stop"] or swarm["ended"]:
            return None
        agents = self._ledger.value("SELECT count(*) FROM agents WHERE tag = ?", self._tag)
        why = limit(self._ledger, swarm, agents, time.time())
        self._limit = bool(why)
        return News(self._tag, "limit", f"{why}: only the closing runs are left", time.time()) if why else None
