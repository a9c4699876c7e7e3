"""Reads a repository's swarm for a live page: the only one that touches the ledger, however many look."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from swarm.errors import SwarmError
from swarm.ledger.database import Ledger, LedgerFault, file_at
from swarm.ledger.home import ledger_path, open_ledger
from swarm.ledger.swarms import newest_tag
from swarm.snapshot.read import read_snapshot
from swarm.snapshot.records import Snapshot
from swarm.web import live, summary
from swarm.web.details import DetailReader
from swarm.web.experiments import rows
from swarm.web.html import Html, el
from swarm.web.page import MOST, parts
from swarm.wording.headline import title

_NAMES = ("top", "warnings", "result", "agents", "newest", "stairs", "take", "counts", "next", "facts", "said")
_ABOVE = 150_000  # bytes of a page that are left for all but its rows


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows now: its title, its parts and its rows by their names."""

    tag: str
    title: str
    parts: Mapping[str, Html]
    rows: Mapping[str, Html] = field(default_factory=dict)


class Reader:
    """Of the swarm `tag`, or of the newest there is. All calls come from one thread."""

    def __init__(self, root: Path, tag: str | None, usd_per_gpu_hour: float | None = None):
        self._root, self._tag, self._usd = root, tag, usd_per_gpu_hour
        self._ledger: Ledger | None = None
        self._file: tuple[int, int] | None = None  # which file was opened: it may be moved away, and another founded
        self._details: tuple[str, DetailReader] | None = None
        self._drawn: tuple[object, Shown] | None = None  # the state of the ledger, and what was drawn of it
        self._rows: dict[object, tuple[object, Html]] = {}
        self.reads = 0  # how often the ledger was read in full

    def look(self) -> Shown:
        """What is to be shown at this moment; never raises for what may happen to a ledger."""
        try:
            return self._look()
        except (SwarmError, LedgerFault, OSError) as error:
            self.close()
            if self._drawn is None:
                return waiting(str(error))
            shown = self._drawn[1]
            told = el("div", el("p", str(error), class_="warning"), id="warnings")
            return Shown(shown.tag, shown.title, {**shown.parts, "warnings": told}, shown.rows)

    def close(self) -> None:
        if self._ledger:
            self._ledger.close()
        self._ledger, self._details = None, None

    def _look(self) -> Shown:
        ledger = self._opened()
        tag = self._tag or newest_tag(ledger)
        if tag is None:
            return waiting("no swarm was ever started here: python -m swarm launch")
        snapshot = read_snapshot(self._root, ledger, tag)
        state = (self._file, tag, ledger.version(), snapshot.status)
        if self._drawn is None or self._drawn[0] != state:
            self._drawn = state, self._draw(ledger, snapshot)
        shown = self._drawn[1]
        return Shown(tag, shown.title, {**shown.parts, **_moving(snapshot)}, shown.rows)

    def _opened(self) -> Ledger:
        path = ledger_path(self._root)
        status = file_at(path)
        file = (status.st_dev, status.st_ino) if status else None
        if self._ledger is None or file != self._file:
            self.close()
            self._ledger, self._file = open_ledger(self._root), file
        return self._ledger

    def _draw(self, ledger: Ledger, snapshot: Snapshot) -> Shown:
        """All that changes only when the ledger does."""
        self.reads += 1
        if self._details is None or self._details[0] != snapshot.tag:
            self._details, self._rows = (snapshot.tag, DetailReader(self._root, ledger, snapshot.tag)), {}
        details = self._details[1].read(snapshot)
        found = parts(snapshot, self._usd, live=True)
        return Shown(snapshot.tag, title(snapshot), found, rows(snapshot, details, MOST - _ABOVE, self._rows))


def _moving(snapshot: Snapshot) -> dict[str, Html]:
    """What changes from second to second."""
    said = {agent.agent: live.transcript(Path(snapshot.folder), agent.agent) for agent in snapshot.agents}
    return {
        "top": summary.top(snapshot),
        "warnings": summary.warned(snapshot),
        "agents": live.agents(snapshot, said),
    }


def waiting(why: str) -> Shown:
    """The page while there is no swarm to show."""
    empty = {name: el("section", id=name, hidden=True) for name in _NAMES}
    about = el("p", why, class_="about")
    now = el("p", f"looked at {time.strftime('%H:%M')}", class_="about")
    return Shown("", "no swarm yet", {**empty, "top": el("header", el("h1", "No swarm yet"), about, now, id="top")})
