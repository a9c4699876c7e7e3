"""Sends notifications and pushes commits, in a thread of its own: no server that hangs ever stops the swarm."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path

from swarm.board.notifications import Notification, NotificationFeed
from swarm.coordinator.periodic import PeriodicTask, insist
from swarm.coordinator.webhook import place, send
from swarm.errors import SwarmError
from swarm.history.repository import History
from swarm.ledger.database import Ledger
from swarm.ledger.served import served_at
from swarm.project.secrets import concealed, without_addresses

LOOK = 1.0  # seconds between looks at the ledger
TRIES = 3  # of one delivery
PAUSE = 60.0  # seconds before a push that failed is tried again
PARTING = 20.0  # seconds for the last notifications


def linked(root: Path, news: Notification) -> Notification:
    """The notification with a link to its experiment on the page that `swarm serve` shows; as it is without one."""
    base = served_at(root)
    place = f"#{news.experiment.removeprefix(f'{news.tag}-')}" if news.experiment else ""
    return dataclasses.replace(news, link=base + place) if base else news


class Notifier:
    """Sends news to `notify` and pushes the swarm's refs to `push`, where these are given, until `close`.

    A failure is reported once through `warn`, and tried again while there is time; it never raises.
    """

    def __init__(
        self, root: Path, ledger: Path, tag: str, notify: str | None, push: str | None, warn: Callable[[str], None]
    ):
        self._root, self._path, self._tag = root, ledger, tag
        self._notify, self._remote, self._warn = notify, push, warn
        self._closing = threading.Event()
        self._pushed: dict[str, str] = {}
        self._pause_until = 0.0
        self._warned: set[str] = set()
        self._thread = threading.Thread(target=self._live, name="notifier", daemon=True)
        if notify or push:
            self._ready = threading.Event()
            self._thread.start()
            self._ready.wait(5.0)  # news are sent from here on

    def close(self) -> None:
        """Sends what is left to send, within PARTING seconds."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(PARTING)

    def _live(self) -> None:
        with contextlib.closing(Ledger(self._path)) as ledger:
            feed, history = NotificationFeed(ledger, self._tag), History(self._root)
            send_all, push = partial(self._send, feed), partial(self._push, history)
            rounds = [PeriodicTask("notifications", send_all, self._warn), PeriodicTask("pushes", push, self._warn)]
            self._ready.set()
            while not self._closing.wait(LOOK):
                for task in rounds:
                    task.run()
            self._pause_until = 0.0
            for act in (send_all, push):
                if problem := insist(act):
                    self._complain(problem)

    def _send(self, feed: NotificationFeed) -> None:
        for news in feed.look() if self._notify else ():
            self._deliver(lambda news=news: send(self._notify or "", linked(self._root, news)))

    def _deliver(self, deliver: Callable[[], None]) -> None:
        problem = ""
        for attempt in range(TRIES):
            try:
                deliver()
                return
            except (OSError, HTTPException, ValueError) as error:
                why = without_addresses(str(error), self._notify)
                problem = f"a notification to {place(self._notify or '')} failed: {why}"
            self._closing.wait(2.0**attempt)
        self._complain(problem)

    def _push(self, history: History) -> None:
        """New and moved refs only; all of them go, or none."""
        remote = self._remote
        if not remote or time.monotonic() < self._pause_until:
            return
        try:
            refs = history.refs(self._tag)
            new = [name for name, sha in refs.items() if self._pushed.get(name) != sha]
            if new:
                history.push(remote, new)
                self._pushed = refs
        except SwarmError as error:
            self._pause_until = time.monotonic() + PAUSE
            why = without_addresses(" ".join(str(error).split()), remote if "://" in remote else None)[:300]
            self._complain(f"pushing to {concealed('push', remote)} failed, and is tried again: {why}")

    def _complain(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            self._warn(problem)
