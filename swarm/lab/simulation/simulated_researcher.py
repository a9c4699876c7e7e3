"""The researchers of simulated swarms: one that draws ideas, and any other on the virtual clock."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from swarm.lab.simulation.ideas import Change, numbered, shuffled, worded, written
from swarm.records import Briefing, Edit, Idea, Run
from swarm.researchers.protocol import Exhausted, Researcher

OPENINGS = ("try to", "what about this:", "once more,", "maybe", "next:")


@dataclass
class IdeaStream:
    """The ideas that all researchers of one simulated swarm propose, in a fixed order, so that policies can be compared
    on the same ideas.

    `repeats` is the share of proposals that repeat an earlier one, of any agent's and whatever came of it.
    """

    seed: int
    repeats: float
    order: list[Change] = field(init=False)
    meant: dict[str, Change] = field(init=False, default_factory=dict)  # by the titles that were ever proposed
    drafted: dict[Change, None] = field(init=False, default_factory=dict)  # what a repeat may repeat, oldest first
    again: set[str] = field(init=False, default_factory=set)  # titles of those

    def __post_init__(self) -> None:
        self.order = list(reversed(shuffled(self.seed)))
        self.numbers = numbered(self.seed)

    def propose(self, chance: random.Random) -> Idea:
        """The next idea; Exhausted where all were proposed."""
        repeats = bool(self.drafted) and chance.random() < self.repeats
        if not repeats and not self.order:
            raise Exhausted("every idea there is was proposed")
        change = chance.choice(list(self.drafted)) if repeats else self.order.pop()
        idea = worded(change, chance)
        while idea.title in self.meant:  # in other words every time: by its title a proposal is known
            idea = replace(idea, title=f"{chance.choice(OPENINGS)} {idea.title}")
        self.meant[idea.title] = change
        if repeats:
            self.again.add(idea.title)
        return idea

    def draft(self, idea: Idea) -> Change:
        change = self.meant[idea.title]
        if idea.title not in self.again:
            self.drafted[change] = None
        return change


class SimulatedResearcher:
    """Proposes random ideas, some of which repeat an earlier one in other words; one agent's. Thinks for `seconds`
    before every proposal, and edits at once."""

    def __init__(self, agent: str, ideas: IdeaStream, seconds: float):
        self._ideas, self._seconds = ideas, seconds
        self._chance = random.Random(f"{ideas.seed} {agent}")

    async def propose(self, briefing: Briefing) -> Idea:
        await asyncio.sleep(self._seconds)
        return self._ideas.propose(self._chance)

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        change = self._ideas.draft(idea)
        chance = self._chance if idea.title in self._ideas.again else None
        return written(change, briefing.parent, chance)

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        return None


class Thinking:
    """A real researcher that takes `seconds` of the virtual clock for every proposal."""

    def __init__(self, researcher: Researcher, seconds: float):
        self._researcher, self._seconds = researcher, seconds

    async def propose(self, briefing: Briefing) -> Idea:
        await asyncio.sleep(self._seconds)
        return await self._researcher.propose(briefing)

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        return await self._researcher.edit(idea, briefing, folder)

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        return await self._researcher.repair(idea, edit, run, briefing, folder)
