"""Which steps of a line its final state can do without: backward elimination, one step after the other.

Every step is left out of the full code alone, and what that costs is measured beside the full code on the same seeds.
The weakest are then left out one on top of the other, as two steps that do the same are each worth nothing only while
the other one is there. What is left is run on fresh seeds beside the full code: simpler code at equal results wins.

Pure, and without a memory: all of it follows from the codes that were made and the runs that were recorded, so that
whoever starts again goes on where the last one stopped.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from msgspec.structs import replace

from swarm.judge.ablation import (
    FULL,
    LOSS,
    NOTHING,
    WORTH,
    Check,
    Checks,
    Done,
    Left,
    Make,
    Next,
    StepResult,
    Steps,
    Verified,
    Wait,
)
from swarm.judge.ablation_evidence import AblationEvidence
from swarm.judge.confirm import around
from swarm.judge.effects import Seen
from swarm.judge.rounding import gain_over
from swarm.judge.stack_gain import StackGain, stack_gain


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is left out, one step more each time; and the codes that this asks for, made already or not."""

    taken: list[Steps]
    asked: list[tuple[Steps, Left | None]]


@dataclass(frozen=True)
class Elimination(AblationEvidence):
    """One line's elimination as far as it is."""

    def next(self) -> Next:
        """What is to be made or run next, or what came of it."""
        if not self.line or (self.full.fault and self.level is None):  # nothing compares with what does not run
            return Done((), NOTHING, None)
        return self._full() or self._alone() or self._on_top() or self._verify()

    # -- each step alone -----------------------------------------------------------------------------------------

    def _full(self) -> Next | None:
        """The full code first, where its level is not known."""
        if self.level is not None or not self.line:
            return None
        return self._unbegun(self.full, range(self._times(FULL)))

    def _alone(self) -> Next | None:
        """Every step left out of the full code, the most doubtful ones first, as far as there is room."""
        for code in self._singles:
            if ask := self._unbegun(code, self._seeds()):
                return ask
        for step in self._by_doubt:
            if self._single(step.name) is None and self._has_room():
                return Make(frozenset((step.name,)))
        return None if all(map(self._ended, self._singles)) and self._level_known() else Wait()

    # -- one on top of the other -----------------------------------------------------------------------------------

    @functools.cached_property
    def _weak(self) -> list[Left]:
        """The steps that are not worth their lines, each alone: the weakest first."""
        found: list[tuple[float, Left]] = []
        for code in self._singles:
            gain = None if code.fault or code.same else self.alone(next(iter(code.wanted)))
            if gain is not None and self._is_weak(gain):
                found.append((gain.mean, code))
        return [code for _, code in sorted(found, key=lambda one: one[0])]

    @functools.cached_property
    def _can_go(self) -> Steps:
        """All that goes with one of the weak steps."""
        return NOTHING.union(*(code.steps for code in self._weak))

    def _is_weak(self, gain: StackGain) -> bool:
        return gain.mean < WORTH if self.sigma else gain.mean <= 0

    def _on_top(self) -> Next | None:
        """Runs for the codes that leave out one weak step more than the one before."""
        waits = False
        for wanted, code in self._walk.asked:
            if code is None:
                return Make(wanted)
            if ask := self._unbegun(code, self._seeds()):
                return ask
            waits = waits or not self._ended(code)
        return Wait() if waits else None

    @functools.cached_property
    def _walk(self) -> _Walk:
        """While a code is not measured, the next ones are asked for as if it were found weak too."""
        return self._walked(ended=False)

    def _walked(self, ended: bool) -> _Walk:
        """The weakest step left out first, then the next one with it, and so on; with `ended` no run can be made any
        more, and only what was measured goes."""
        at, level = NOTHING, self._full_level
        taken: list[Steps] = []
        asked: list[tuple[Steps, Left | None]] = []
        lacking = 0
        can_go = self._can_go
        for single in self._weak:
            if single.steps <= at or (ended and not self._ended(single)):
                continue
            wanted = at | single.steps
            code = self._code(wanted)
            gain = self.alone(next(iter(single.wanted)))
            assert gain is not None
            if ended and (code is None or not self._ended(code)):
                continue
            if code is None and not self._has_room(lacking + 1):  # all together, and the fresh runs judge that
                at = wanted
            elif code is None:
                lacking += 1
                asked.append((wanted, None))
                at = wanted
            elif code.fault or code.same or not code.steps <= can_go:
                continue
            elif not self._ended(code):
                asked.append((wanted, code))
                at = code.steps
            else:
                values = self._chosen_by(code)
                if code is not single:
                    looks = [self._seen(single), level.seen_to(values, self._noise)]
                    gain = stack_gain(self._first(single.steps), looks, self.effects)
                    if not self._is_weak(gain):
                        continue
                level, at = level.after(gain, values, self._noise), code.steps
            taken.append(at)
        return _Walk(taken, asked)

    # -- the minimal code on fresh seeds -----------------------------------------------------------------------------

    def _verify(self) -> Next:
        """The code without all weak steps beside the full one; where that loses, beside fewer."""
        taken = self._walk.taken
        count = len(taken)
        while count:
            steps = taken[count - 1]
            code = self._code(steps, verifies=True)
            if not self._can_verify(code):
                break
            if code is None:
                return Make(steps, verifies=True)
            if not code.fault and not code.same and code.steps <= self._can_go:
                if self.checks and code.checks is not Checks.PASSED:  # before the dearer runs
                    return Wait() if code.checks is Checks.RUNNING else Check(code.steps)
                if ask := self._unbegun(code, self._fresh()) or self._unbegun(self.full, self._fresh()):
                    return ask
                verified = self._verified(code)
                if verified is None:
                    return Wait()
                if verified.holds:
                    return self._done(code.steps, verified)
            count = count * 3 // 4
        return self._done(taken[count - 1] if count else NOTHING, None)

    def _verified(self, code: Left) -> Verified | None:
        """What the fresh pairs say; None while one is missing that may still come."""
        pairs = [seed for seed in self._fresh() if seed in code.values and seed in self.full.values]
        if not pairs or (len(pairs) < len(self._fresh()) and not self.full.fault):
            return Verified(code.steps, 0.0, 0.0, 0.0, 0, holds=False) if self.full.fault else None
        ours, full = (fmean(each.values[seed] for seed in pairs) for each in (code, self.full))
        loss, s = gain_over(ours, full), self.sigma * math.sqrt(2 / len(pairs))
        low, high = around(loss, s, self.df)
        expected = self.effects.of(Seen(loss / self.sigma, s / self.sigma)).mean if self.sigma else loss
        holds = expected <= (LOSS if self.sigma else 0.0)
        return Verified(code.steps, loss, low, high, len(pairs), holds)

    # -- what came of it ---------------------------------------------------------------------------------------------

    def so_far(self) -> Done:
        """What is known where no further run can be made."""
        taken = self._walked(ended=True).taken if self._level_known() else []
        return self._done(taken[-1] if taken else NOTHING, None)

    def _done(self, steps: Steps, verified: Verified | None) -> Done:
        return Done(tuple(self._results(steps)), steps, verified)

    def _results(self, dropped: Steps) -> Iterator[StepResult]:
        unit = self.sigma or 1.0
        if self.level is None and not self.full.values:
            return
        for step in self.line:
            code = self._single(step.name)
            runs = len(self._chosen_by(code)) if code and not code.same else 0
            result = StepResult(step.name, step.name in dropped, runs)
            if code:
                together = tuple(one.name for one in self.line if one.name in code.steps - code.wanted)
                result = replace(result, together=together)
            if code and runs and not code.fault:
                seen = self.measured(code)
                low, high = around(seen.x, seen.s, self.df)
                result = replace(result, gain=unit * seen.x, low=unit * low, high=unit * high)
            elif not (code and (code.fault or code.same)) and (first := self.alone(step.name)):
                result = replace(result, gain=unit * first.mean)
            yield result
