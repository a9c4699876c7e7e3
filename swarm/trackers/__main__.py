"""The process that sends: reads the ledger, sends what was judged, and ends with its stdin, once all of it is sent.

    python -m swarm.trackers NAME LEDGER TAG FOLDER

Each line of its stdout is a word for its head: `sending ID`, `sent ID`, or `failed WHY`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from pathlib import Path

from swarm.ledger.database import Ledger
from swarm.text import one_line, printable
from swarm.trackers.reading import unsent
from swarm.trackers.records import Tracker
from swarm.trackers.registry import open_tracker

LOOK = 2.0  # seconds between two looks at the ledger
SHORTEST, LONGEST = 5.0, 120.0  # seconds until a tracker that failed is tried again


class Sender:
    """Sends every judged experiment once, also over restarts: `sent` is what a file beside it holds."""

    def __init__(self, name: str, tag: str, folder: Path) -> None:
        self._name, self._tag, self._folder = name, tag, folder
        self._file = folder / f"tracked-{name}.json"
        self._tracker: Tracker | None = None
        self._pause, self._due = SHORTEST, 0.0
        self.sent = _read(self._file)

    def look(self, ledger: Ledger, last: bool) -> None:
        """Sends what is new; a failure is told, and what failed is sent later."""
        if time.monotonic() < self._due and not last:
            return
        for run in unsent(ledger, self._tag, self.sent):
            tell("sending", run.id)
            try:
                self._tracker = self._tracker or open_tracker(self._name, self._tag, self._folder / self._name)
                self._tracker.send(run)
            except (Exception, SystemExit) as error:  # whatever a tracker does: it is never more than a warning
                tell("failed", f"{type(error).__name__}: {error}")
                self._due, self._pause = time.monotonic() + self._pause, min(2 * self._pause, LONGEST)
                return
            self.sent.add(run.id)
            _write(self._file, self.sent)
            self._pause = SHORTEST
            tell("sent", run.id)


def _read(file: Path) -> set[str]:
    with contextlib.suppress(OSError, ValueError):
        return set(json.loads(file.read_text()))
    return set()


def _write(file: Path, sent: set[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".tmp")
    fresh.write_text(json.dumps(sorted(sent)))
    fresh.replace(file)


def tell(word: str, what: str) -> None:
    os.write(TOLD, f"{word} {one_line(printable(what))[:300]}\n".encode(errors="replace"))


def main(name: str, ledger: str, tag: str, folder: str) -> None:
    sender = Sender(name, tag, Path(folder))
    with contextlib.closing(Ledger(Path(ledger))) as opened:
        last = False
        while not last:
            last = bool(select.select([sys.stdin], [], [], LOOK)[0])  # it ends: so does the swarm
            sender.look(opened, last)


TOLD = 1
if __name__ == "__main__":
    TOLD = os.dup(1)
    os.dup2(2, 1)  # what trackers print is not for the head
    main(*sys.argv[1:])
