"""What is worth waking somebody for: a champion, a row of crashes, a limit, the end. Read from the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass

from swarm.board.limits import limit
from swarm.ledger.agents import agents
from swarm.ledger.database import Ledger
from swarm.ledger.events import events, newest_event
from swarm.ledger.experiments import experiment, newest_verdicts, own_mean
from swarm.ledger.rows import EventRow
from swarm.ledger.transaction import Transaction, of_swarm
from swarm.records import Status

STREAK = 5  # crashes in a row, of the whole swarm
ENDS = ("finished", "stopped", "failed")
SENT = ("champion", "held", "large", "invalid", *ENDS)  # the kinds of events that are sent


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to people. `kind` is champion, held, large, crashes, limit, finished, stopped or failed."""

    tag: str
    kind: str
    text: str
    at: float  # unix seconds
    experiment: str | None = None
    metric: str = ""
    value: float | None = None  # of the experiment
    link: str = ""  # where it can be seen in a browser, if anywhere; it holds no token


class NotificationFeed:
    """Gives each notification once, from the moment it is made on."""

    def __init__(self, ledger: Ledger, tag: str):
        self._ledger, self._tag = ledger, tag
        self._last = newest_event(ledger, tag)
        self._streak = self._limit = False

    def look(self) -> list[Notification]:
        """What is new since the last look, oldest first."""
        tx = of_swarm(self._ledger, self._tag, time.time())
        news = [self._crashes(), self._reached(tx)]
        for event in events(self._ledger, self._tag, after=self._last):
            self._last = event.id
            if event.kind in SENT:
                news.append(self._of_event(event, tx.swarm.metric))
        return [item for item in news if item]

    def _of_event(self, event: EventRow, metric: str) -> Notification:
        if event.experiment is None:
            return Notification(self._tag, event.kind, event.text, event.at, metric=metric)
        text = f"{experiment(self._ledger, event.experiment).title}: {event.text}"
        value = own_mean(self._ledger, event.experiment)
        return Notification(self._tag, event.kind, text, event.at, event.experiment, metric, value)

    def _crashes(self) -> Notification | None:
        newest = newest_verdicts(self._ledger, self._tag, STREAK, baselines=True)
        before = self._streak
        self._streak = len(newest) == STREAK and all(row.status is Status.CRASH for row in newest)
        if before or not self._streak:
            return None
        text = f"{STREAK} experiments in a row crashed, the last with: {newest[0].reason}"
        return Notification(self._tag, "crashes", text, time.time(), newest[0].id)

    def _reached(self, tx: Transaction) -> Notification | None:
        if self._limit or tx.swarm.stop or tx.swarm.ended:
            return None
        over = limit(tx, len(agents(self._ledger, self._tag)))
        self._limit = over is not None
        return Notification(self._tag, "limit", f"{over.why}: only the closing runs are left", tx.now) if over else None
