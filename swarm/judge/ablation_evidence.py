"""What is known of a line while it is ablated: what each step is worth in its final code, and what may still be run.

Pure, and without a memory: it follows from the codes that were made and the runs that were recorded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from swarm.judge.ablation import FRESH, FULL, NOTHING, RUNS, Again, Checks, Left, LineStep, Steps
from swarm.judge.effects import Effects, Seen
from swarm.judge.stack_gain import StackGain, StackLevel, stack_gain


@dataclass(frozen=True)
class AblationEvidence:
    """One line, and what is known of it. `level` (mean and deviation) is what is known of the full code
    beforehand; `sigma` the noise of one run, 0 where there is none; `room` how many runs it may take."""

    line: Sequence[LineStep]
    full: Left
    codes: Sequence[Left]
    sigma: float
    effects: Effects = field(default_factory=Effects)
    level: tuple[float, float] | None = None
    room: int | None = None
    given: int = 0  # runs in `full` that others pay for
    checks: bool = False  # the project has checks, which whatever is kept must pass
    df: float = math.inf  # of sigma

    @functools.cached_property
    def _by_doubt(self) -> list[LineStep]:
        """The steps of which least is expected first; of the same, the newer one."""

        def doubt(place: int) -> tuple[float, int]:
            seen = self.line[place].seen
            return self.effects.of(seen).mean if seen and seen.s else 0.0, -place

        return [self.line[place] for place in sorted(range(len(self.line)), key=doubt)]

    @functools.cached_property
    def _singles(self) -> list[Left]:
        return [code for step in self._by_doubt if (code := self._single(step.name))]

    def _single(self, name: str) -> Left | None:
        wanted = frozenset((name,))
        return next((code for code in self.codes if code.wanted == wanted and not code.verifies), None)

    def alone(self, name: str) -> StackGain | None:
        """What a step is worth by itself in the full code, with all that goes with it; None where nothing is known."""
        if name not in self._known:
            self._known[name] = self._alone_in_full(name)
        return self._known[name]

    @functools.cached_property
    def _known(self) -> dict[str, StackGain | None]:
        return {}

    def _alone_in_full(self, name: str) -> StackGain | None:
        code = self._single(name)
        if code is None or code.fault or not code.values:
            seen = self._first(frozenset((name,)))
            return None if seen is None else stack_gain(seen, (), self.effects)
        return stack_gain(self._first(code.steps), [self._seen(code)], self.effects)

    def _first(self, steps: Steps) -> Seen | None:
        """What these steps gained when they were put on, all together."""
        looks = [step.seen for step in self.line if step.name in steps]
        if not looks or any(seen is None for seen in looks):
            return None
        known = [seen for seen in looks if seen]
        return Seen(math.fsum(seen.x for seen in known), math.sqrt(math.fsum(seen.s**2 for seen in known)))

    def measured(self, code: Left) -> Seen:
        """How much worse a code measured than the full one: by the runs of both alone, whatever edits are thought to be
        worth, and whatever is known of the steps from before."""
        full = [value / (self.sigma or 1.0) for value in self.full.values.values()]
        level = StackLevel(fmean(full), self._noise / len(full)) if full else self._full_level
        return level.seen_to(self._chosen_by(code), self._noise)

    def waits(self) -> bool:
        """Whether anything runs that will tell more."""
        return any(
            (not code.fault and code.begun - code.values.keys()) or code.checks is Checks.RUNNING
            for code in (self.full, *self.codes)
        )

    def _seen(self, code: Left) -> Seen:
        return self._full_level.seen_to(self._chosen_by(code), self._noise)

    def _can_verify(self, code: Left | None) -> bool:
        return self.room is None or self._spent() + self._missing(code) + self._missing(self.full) <= self.room

    def _missing(self, code: Left | None) -> int:
        """How many fresh runs a code lacks."""
        return len({*self._fresh()} - (code.begun if code else NOTHING))

    @property
    def _noise(self) -> float:
        """The variance of one run, in sigmas."""
        return 1.0 if self.sigma else 0.0

    def _times(self, runs: int) -> int:
        """So many runs; one where it is the truth."""
        return runs if self.sigma else 1

    def _seeds(self) -> range:
        """The seeds on which a code is chosen."""
        return range(self._times(RUNS))

    def _fresh(self) -> range:
        """The seeds that nothing is chosen by."""
        return range(self._times(RUNS), self._times(RUNS) + self._times(FRESH))

    def _chosen_by(self, code: Left) -> list[float]:
        """The values that a code is chosen by, in sigmas."""
        return [code.values[seed] / (self.sigma or 1.0) for seed in self._seeds() if seed in code.values]

    @functools.cached_property
    def _full_level(self) -> StackLevel:
        """As it was known before, or by the full code's first runs: fresh ones, later on, move nothing."""
        unit = self.sigma or 1.0
        values = [value / unit for seed, value in self.full.values.items() if seed < FULL]
        if self.level is None:
            return StackLevel(fmean(values), self._noise / len(values))
        return StackLevel(self.level[0] / unit, (self.level[1] / unit) ** 2)

    def _level_known(self) -> bool:
        return self.level is not None or self.full.fault or len(self.full.values) >= self._times(FULL)

    def _code(self, steps: Steps, verifies: bool = False) -> Left | None:
        """The code that leaves out these steps, or was asked to; one that only verifies takes no part in choosing."""
        able = [code for code in self.codes if verifies or not code.verifies]
        return next((code for code in able if steps in (code.steps, code.wanted)), None)

    def _unbegun(self, code: Left, seeds: range) -> Again | None:
        if code.fault or code.same:
            return None
        return next((Again(code.steps, seed) for seed in seeds if seed not in code.begun), None)

    def _ended(self, code: Left) -> bool:
        return code.fault or code.same or all(seed in code.values for seed in self._seeds())

    def _spent(self) -> int:
        """The runs that were begun, or are going to be for the codes that are there."""
        own = {code.steps: code for code in self.codes}.values()
        seeds = {*self._seeds()}
        wanted = sum(
            len(code.begun if code.fault or code.verifies else code.begun | seeds) for code in own if not code.same
        )
        return wanted + max(0, len(self.full.begun) - self.given)

    def _has_room(self, codes: int = 1) -> bool:
        """Whether so many further codes leave enough for the fresh runs at the end."""
        if self.room is None:
            return True
        reserve = self._missing(None) + self._missing(self.full)
        return self._spent() + self._times(RUNS) * codes + reserve <= self.room
