"""The verb `confirm`: an experiment beside its rival on fresh seeds, while no swarm runs (fresh_runs.py).

Both arms have the same data, seeds and budget.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from swarm.board import confirmations
from swarm.coordinator.fresh_runs import FreshRuns, Say, Workplace, workplace
from swarm.errors import SwarmError, UsageError
from swarm.judge.comparison import Comparison
from swarm.ledger import fresh_runs
from swarm.ledger.confirmations import confirmation
from swarm.project.settings import Config
from swarm.records import Measure

FEWEST, MOST = 2, 500  # seeds


@dataclass(frozen=True, slots=True)
class Question:
    """Which experiment is confirmed against which, on how many seeds; both by their ids."""

    experiment: str
    rival: str
    seeds: int


def answer(root: Path, tag: str, question: Question, places: Config, say: Say) -> Comparison:
    """Runs what is asked and compares, where `places` say (see `workplace`).

    SwarmError where too few runs gave a number.
    """
    if not FEWEST <= question.seeds <= MOST:
        raise UsageError(f"--seeds {question.seeds}: give {FEWEST} to {MOST}; 8 is what most papers need")
    with workplace(root, tag, places, question.seeds, "confirm", say) as place:
        confirming = ConfirmationRuns(place, question)
        asyncio.run(confirming.work())
        confirming.publish()
        return confirming.conclude()


class ConfirmationRuns(FreshRuns):
    """The runs of one confirmation, until every pair is whole."""

    verb = "confirm"

    def __init__(self, place: Workplace, question: Question):
        super().__init__(place)
        with self.ledger.transaction():  # the open confirmation of this very question, or a new one
            self.number = confirmations.ask_for_people(self._now(), question.experiment, question.rival, question.seeds)

    def conclude(self) -> Comparison:
        with self.ledger.transaction():
            found = confirmations.conclude_for_people(self._now(), self.number)
        if found is None:
            why, logs = fresh_runs.failure_in_confirmation(self.ledger, self.number), self.plan.folder / self.verb
            raise SwarmError(f"too few runs gave a number to compare ({why}): their logs are in {logs}")
        return found

    async def _ask(self, agent: str) -> Measure | None:
        with self.ledger.transaction():
            test = confirmation(self.ledger, self.number)
            return confirmations.next_run(self._now(), test, agent, 0, self.alive)
