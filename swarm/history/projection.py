"""Git and results.tsv follow the ledger: after every verdict, and now and then in any case."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from swarm.history.repository import History
from swarm.history.results_writer import write_results
from swarm.ledger.agents import agents
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import verdicts

ANYWAY = 30.0  # seconds after which refs that somebody moved or deleted come back


class Projection:
    """`noted` hands the new commits, by experiment, to the board."""

    def __init__(self, history: History, tag: str, folder: Path, noted: Callable[[dict[str, str]], None]):
        self._history, self._tag, self._folder, self._noted = history, tag, folder, noted
        self._state, self._at = -1, 0.0

    def follow(self, ledger: Ledger, whatever: bool = False) -> None:
        """Brings both up to date where there is news, it is time, or `whatever` happened."""
        moved = sum(agent.position for agent in agents(ledger, self._tag))
        state, now = verdicts(ledger, self._tag) + moved, time.monotonic()
        if state == self._state and now - self._at < ANYWAY and not whatever:
            return
        commits = self._history.project(ledger, self._tag)
        if commits:
            self._noted(commits)
        write_results(ledger, self._tag, self._folder)
        self._state, self._at = state, now
