"""The verb `ablate`: the leader's line without each of its steps, while no swarm runs (fresh_runs.py)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from swarm.agent.leave_out import LineCode, leave_out, refused
from swarm.board import ablations
from swarm.coordinator.fresh_runs import FreshRuns, Say, Workplace, workplace
from swarm.errors import SwarmError, UsageError
from swarm.ledger.ablations import ablation
from swarm.ledger.sources import load_source
from swarm.project.settings import Config
from swarm.records import LeaveOut, Measure, Rest

MOST = 64  # GPUs: more would wait for each other
LOOK = 0.5  # seconds between looks whether the last runs of others have ended


def ablate_line(root: Path, tag: str, places: Config, say: Say) -> int:
    """Runs what is asked, where `places` say (see `workplace`); gives the ablation's number.

    UsageError where the trunk has no step. SwarmError where no run of the leader itself gave a number.
    """
    with workplace(root, tag, places, MOST, "ablate", say) as place:
        ablating = AblationRuns(place)
        asyncio.run(ablating.work())
        ablating.publish()
        return ablating.conclude()


class AblationRuns(FreshRuns):
    """The runs of one ablation, until nothing is left to ask."""

    verb = "ablate"

    def __init__(self, place: Workplace):
        super().__init__(place)
        with self.ledger.transaction():  # the open one of this very line, or a new one
            number = ablations.ask_for_people(self._now())
        if number is None:
            raise UsageError(f"{self.plan.tag} has put nothing on its trunk: there is no step to leave out")
        self.number = number

    def conclude(self) -> int:
        with self.ledger.transaction():
            row = ablations.concluded(self._now(), self.number)
        if row is None:
            logs = self.plan.folder / self.verb
            raise SwarmError(f"no run of the leader gave a number to compare with: the logs are in {logs}")
        return self.number

    async def _ask(self, agent: str) -> Measure | None:
        while True:
            with self.ledger.transaction():
                row = ablation(self.ledger, self.number)
                work = ablations.next_work(self._now(), row, agent, 0) if row.ended is None else None
            match work:
                case LeaveOut():
                    await self._leave_out(work)
                case Rest():
                    await asyncio.sleep(LOOK)
                case _:
                    return work

    async def _leave_out(self, work: LeaveOut) -> None:
        line = [
            LineCode(name, load_source(self.ledger, before), load_source(self.ledger, after))
            for name, before, after in work.line
        ]
        made, steps = await asyncio.to_thread(leave_out, line, work.wanted)
        why = refused(made, line[-1].after, self.plan.project)
        with self.ledger.transaction():
            ablations.enter(self._now(), work, made, steps, why)
