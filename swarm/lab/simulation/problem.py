"""What a simulated swarm researches: code whose true value is known, and researchers that edit it."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from swarm.lab.simulation.ideas import read, untouched
from swarm.lab.simulation.knob_landscape import DEVICE, KnobTruth, untouched_knobs
from swarm.lab.simulation.landscape import Landscape, Truth
from swarm.lab.simulation.simulated_researcher import IdeaStream, SimulatedResearcher, Thinking
from swarm.records import Idea, Source
from swarm.researchers.protocol import Researcher
from swarm.researchers.sweep.knob_space import key_of
from swarm.researchers.sweep.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Novelty:
    """How well the board distinguished new ideas from old ones. Nothing is a repetition of what was never run."""

    new_ideas: int  # proposed for the first time
    wrongly_refused: int  # of these, refused as duplicates
    repeats: int  # proposed again
    repeats_run: int  # of these, trained once more


class Problem(Protocol):
    """The code before any idea, its true value after any edit, and who edits it."""

    base: Source
    device: str

    def researcher(self, agent: str) -> Researcher: ...

    def value(self, source: Source) -> float:
        """The metric that the code reaches on average."""
        ...

    def novelty(self, refused: Collection[Idea], ran: Collection[Idea]) -> Novelty:
        """From the ideas that were refused as duplicates, and those that were trained."""
        ...


class IdeaProblem:
    """Ideas out of thousands, drawn by simulated researchers: some repeat an earlier one in other words."""

    def __init__(self, landscape: Landscape, seed: int, repeats: float, think: float):
        self.base, self.device = untouched(), "sim: simulated"
        self._ideas, self._truth, self._think = IdeaStream(seed, repeats), Truth(landscape, seed), think

    def researcher(self, agent: str) -> Researcher:
        return SimulatedResearcher(agent, self._ideas, self._think)

    def value(self, source: Source) -> float:
        return self._truth.value(self._ideas.numbers[change] for change in read(source))

    def novelty(self, refused: Collection[Idea], ran: Collection[Idea]) -> Novelty:
        again, changes = self._ideas.again, [self._ideas.meant[idea.title] for idea in ran]
        return Novelty(
            new_ideas=len(self._ideas.meant) - len(again),
            wrongly_refused=len({idea.title for idea in refused} - again),
            repeats=len(again),
            repeats_run=len(changes) - len(set(changes)),
        )


class KnobProblem:
    """A file of constants with a hidden optimum, for the sweep as it ships."""

    def __init__(self, landscape: Landscape, seed: int, think: float):
        self.base, self.device = untouched_knobs(), f"{DEVICE}: simulated"
        self._truth, self._seed, self._think = KnobTruth(landscape, seed), seed, think

    def researcher(self, agent: str) -> Researcher:
        seed = random.Random(f"sweep {self._seed} {agent}").getrandbits(31)
        return Thinking(Sweep(agent, seed, {}), self._think)

    def value(self, source: Source) -> float:
        return self._truth.value(source)

    def novelty(self, refused: Collection[Idea], ran: Collection[Idea]) -> Novelty:
        keys = [key_of(idea) for idea in ran]
        again = [key_of(idea) in set(keys) for idea in refused]
        return Novelty(
            new_ideas=len(set(keys)) + again.count(False),
            wrongly_refused=again.count(False),
            repeats=again.count(True) + len(keys) - len(set(keys)),
            repeats_run=len(keys) - len(set(keys)),
        )
