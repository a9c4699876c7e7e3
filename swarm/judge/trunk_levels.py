"""All that the runs of one swarm say of its trunk: the levels of its states, and what each of its steps is worth.

It is fed with what happened, in order, and with nothing else: the same events give the same numbers to the last bit,
whether they come one by one or all at once after a resume. The noise is part of that. It is learned from repeats, and
where they show that it is clearly another one, everything is reckoned anew under it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection

from msgspec import Struct

from swarm.judge.effects import Effect, Seen
from swarm.judge.levels import MISFIT, Level, Levels
from swarm.judge.noise import Noise, Observation, calibrate
from swarm.judge.shares import Shares

_LEAST = 1e-3  # runs, that what others say is worth at least

_EACH = 64  # repeats, up to which the noise is learned anew from each; then from every twentieth part more
_LOUDER, _APART = 0.1, 0.25  # changes of sigma, as a share of it, and of a GPU's offset, in sigmas, that count


class Measured(Struct, frozen=True):
    """A run gave a number. `idea` is the experiment that it tests, on top of the state `parent`; "" where it measures
    a state again."""

    observation: Observation
    parent: str = ""
    idea: str = ""


class Stepped(Struct, frozen=True):
    """The trunk took a step: the idea's edit became the state `source`, or an earlier state with that code is its tip
    again. `least` is the effect, in sigmas, below which the step is undone."""

    source: str
    idea: str = ""
    least: float = 0.0


Event = Measured | Stepped


class Belief(Struct, frozen=True):
    """What all runs say of one idea: `seen` is its gain as measured, in sigmas, `effect` what that makes likely."""

    sigma: float
    seen: Seen
    effect: Effect


class Step(Struct, frozen=True):
    """One step that stands: the idea, the state `parent` that it was put on, and the one that it became."""

    idea: str
    source: str
    parent: str
    least: float


class TrunkLevels:
    """The trunk, whose first state is `base`. Runs of `excluded` states, and on top of them, say nothing."""

    def __init__(self, base: str, prior: float | None, excluded: frozenset[str] = frozenset()) -> None:
        self.excluded, self._base, self._prior = excluded, base, prior
        self._events: list[Event] = []
        self._runs: dict[str, list[Observation]] = defaultdict(list)
        self._repeats = self._learned_from = 0
        self._steps: dict[str, Step] = {}  # by the state that each became
        self.tip = base
        self.noise: Noise = calibrate((), prior)
        self._begin()

    def add(self, event: Event) -> None:
        """What happened next."""
        self._events.append(event)
        if isinstance(event, Stepped):
            self._step(event)
        elif self._teaches_noise(event.observation):
            self._begin_again()
            return
        self._reckon(event)

    # -- what is known -------------------------------------------------------------------------------------------

    @property
    def levels(self) -> Levels | None:
        """None while no noise is known, and where there is none."""
        return self._levels

    def belief(self, idea: str) -> Belief | None:
        """None where no run of the idea counts, or no noise is known."""
        if self._levels is None or idea not in self._tried:
            return None
        return Belief(self.noise.sigma or 0.0, self._levels.effect_seen(idea), self._levels.effect(idea))

    def level(self, source: str) -> Level | None:
        return self._levels.level(source) if self._levels and source in self._levels else None

    def fresh_level(self, source: str, apart: Collection[int] = ()) -> Level | None:
        """The level of a state by the runs that it was not chosen by, without those of the seeds `apart`, and as far as
        MISFIT lets them, by all others."""
        said, sigma = self.level(source), self.noise.sigma
        if said is None or not sigma or not said.deviation:
            return said
        fresh = {
            (run.seed, place): self.noise.corrected(run)
            for place, event in enumerate(self._events)
            if isinstance(event, Measured) and not event.idea and (run := event.observation).state == source
        }
        known = (sigma / said.deviation) ** 2  # all in units of one run
        others = max(known - len(fresh), _LEAST)
        mean = (known * said.mean - math.fsum(fresh.values())) / others if others > _LEAST else said.mean
        weight = 1 / (MISFIT + 1 / others)
        used = [value for (seed, _), value in fresh.items() if seed not in apart]
        runs = weight + len(used)
        return Level((weight * mean + math.fsum(used)) / runs, sigma / math.sqrt(runs))

    def line(self) -> list[Step]:
        """The steps that stand, the newest first."""
        found: list[Step] = []
        at = self.tip
        while at in self._steps:
            found.append(self._steps[at])
            at = found[-1].parent
        return found

    def losing(self, spared: str) -> str | None:
        """The state to go back to where the newest steps are losses in all likelihood, and never below `spared`."""
        at = self.tip
        while at in self._steps and at != spared:
            step = self._steps[at]
            belief = self.belief(step.idea)
            if belief is None or belief.effect.mean >= step.least:
                break
            at = step.parent
        return at if at != self.tip else None

    def take_touched(self) -> list[str]:
        """The ideas that look otherwise since this was last asked."""
        if self._levels is None:
            return []
        touched = list(self._levels.touched)
        self._levels.touched.clear()
        return touched

    # -- noise ---------------------------------------------------------------------------------------------------

    def _teaches_noise(self, run: Observation) -> bool:
        """Whether this run, of code that ran before, shows that the noise is clearly another one than was thought."""
        same = self._runs[run.state]
        same.append(run)
        if len(same) < 2:
            return False
        self._repeats += 1
        if self._repeats > _EACH and self._repeats < 1.05 * self._learned_from:
            return False
        self._learned_from = self._repeats
        repeated = (run for runs in self._runs.values() if len(runs) > 1 for run in runs)
        found = calibrate(repeated, self._prior)
        if not _differs(self.noise, found):
            return False
        self.noise = found
        return True

    # -- reckoning -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._levels = Levels(self.noise.sigma) if self.noise.sigma else None
        self._shares = Shares()
        self._tried: set[str] = set()
        self._numbers: set[tuple[str, int, float]] = set()  # of each state, by its seeds

    def _begin_again(self) -> None:
        self._begin()
        for event in self._events:
            self._reckon(event)

    def _reckon(self, event: Event) -> None:
        if self._levels is None:
            return
        if isinstance(event, Stepped):
            if event.idea in self._tried and event.source not in self._levels:
                self._levels.carried(event.idea, event.source)
            return
        run, value = event.observation, self.noise.corrected(event.observation)
        # The very number that its parent gave on that seed: the edit changes nothing, and the parent did not run again.
        same = (event.parent, run.seed, run.value) in self._numbers
        self._numbers.add((run.state, run.seed, run.value))
        if run.state in self.excluded:
            return
        if not event.idea:
            if run.state in self._steps or run.state == self._base:
                self._levels.measured(run.state, value)
        elif event.parent not in self.excluded and event.parent in self._levels:
            self._levels.tried(event.idea, event.parent, value, tells=not same)
            self._tried.add(event.idea)
            self._shares.learn(self._levels, event.idea)

    def _step(self, event: Stepped) -> None:
        if event.source not in self._steps and event.source != self._base:
            self._steps[event.source] = Step(event.idea, event.source, self.tip, event.least)
        self.tip = event.source


def _differs(old: Noise, new: Noise) -> bool:
    """Whether what was reckoned under the old noise would come out clearly otherwise under the new one."""
    if not old.sigma or not new.sigma:
        return old.sigma != new.sigma
    apart = max((abs(old.offsets.get(gpu, 0.0) - new.offsets.get(gpu, 0.0)) for gpu in new.offsets), default=0.0)
    louder = abs(math.log(new.sigma / old.sigma)) > _LOUDER
    return louder or apart > _APART * new.sigma or abs(old.slope - new.slope) > _LOUDER * abs(new.slope)
