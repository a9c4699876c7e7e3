"""The numbers of one swarm that people read: plain means of the runs they name. Where values are corrected before they
decide (each GPU's offset, and steps beyond the usual), the corrected one stands beside the plain one.

Everything here is sign-normalised: lower is better, gains are positive.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from msgspec import Struct
from msgspec.structs import replace

from swarm.judge.closing import Headline, headline
from swarm.judge.confirm import around
from swarm.judge.noise import Noise
from swarm.judge.rounding import gain_over
from swarm.ledger.confirmations import Asker
from swarm.ledger.measurements import HiddenRun, calibrated, corrected
from swarm.ledger.rows import ConfirmationRow, RunRow, RunState, SwarmRow
from swarm.ledger.runs import JUDGED
from swarm.records import Purpose


class StateMean(Struct, frozen=True):
    """One state of the code as its runs measured it. `fresh`: only those of the closing wave, unselected ones."""

    value: float
    corrected: float
    n: int
    fresh: bool


class Numbers:
    """The runs of one swarm, and their means. `noise` is what the judge corrects by; `resumed` (unix seconds) says when
    the swarm was opened again, each time."""

    def __init__(
        self,
        swarm: SwarmRow,
        tries: Sequence[HiddenRun],
        noise: Noise,
        noiseless: bool,
        resumed: Sequence[float] = (),
    ):
        self._swarm, self._tries, self._noise, self._noiseless = swarm, tries, noise, noiseless
        self._resumed = resumed
        self._runs: dict[str, list[RunRow]] = defaultdict(list)
        for each in tries:
            if each.run.state is RunState.MEASURED:
                self._runs[each.run.source].append(each.run)
        self._plain_noise = self._without_steps() if noise.slope else noise

    def _without_steps(self) -> Noise:
        """The noise of plain values: what the runs' steps add to it is in it."""
        repeats = [replace(run, steps=None) for runs in self._runs.values() if len(runs) > 1 for run in runs]
        return calibrated(self._swarm, repeats)

    def plain(self, run: RunRow) -> float:
        """The value as it was measured."""
        return self._swarm.sign * (run.value or 0.0)

    def corrected(self, run: RunRow) -> float:
        """The value as an average GPU would have measured it, in the usual number of steps."""
        return corrected(self._swarm, self._noise, run)

    def state(self, source: str) -> StateMean | None:
        """The mean of all runs of this code, or, where it has several fresh ones, of these alone."""
        runs = self._runs[source]
        if not runs:
            return None
        (fresh,) = self._fresh(source)
        used = fresh or runs
        return StateMean(fmean(map(self.plain, used)), fmean(map(self.corrected, used)), len(used), bool(fresh))

    def _fresh(self, *sources: str) -> list[list[RunRow]]:
        """The closing runs of these codes, of one and the same end: the newest at which each has enough of them to
        stand alone."""
        for life in range(len(self._resumed), -1, -1):
            arms = [
                [run for run in self._runs[source] if run.purpose is Purpose.CLOSING and self._life(run) == life]
                for source in sources
            ]
            if min(map(len, arms)) > (0 if self._noiseless else 1):
                return arms
        return [[] for _ in sources]

    def _life(self, run: RunRow) -> int:
        return bisect(self._resumed, run.started)

    def gain(self, ours: StateMean, theirs: StateMean) -> tuple[float, float | None, float | None]:
        """The plain gain between two states with its 95% interval; None and None where nothing gives one."""
        gain, known = theirs.value - ours.value, self._plain_noise
        if not known.sigma and not self._noiseless:
            return gain, None, None
        return gain, *around(gain, (known.sigma or 0.0) * math.sqrt(1 / ours.n + 1 / theirs.n), known.df)

    def headline(self, best: str, base: str) -> tuple[Headline | None, Headline | None]:
        """What the closing runs say of two states, as they were measured, and corrected; None where they are too few,
        and None where no correction changes it."""
        ours, theirs = self._fresh(best, base)
        plain = headline([*map(self.plain, ours)], [*map(self.plain, theirs)], *_scale(self._plain_noise))
        better = headline([*map(self.corrected, ours)], [*map(self.corrected, theirs)], *_scale(self._noise))
        return plain, better if plain and better and _differs(plain, better) else None

    def hidden(self, source: str, rival: str, confirmation: int | None = None) -> Headline | None:
        """What the hidden split says of two states: their runs of a confirmation, or else of the closing wave.

        Plain means too. Its noise is not the metric's: it is judged from these runs alone.
        """
        hidden = [
            (each.run.source, self._swarm.sign * each.hidden)
            for each in self._tries
            if each.hidden is not None and each.run.state is RunState.MEASURED and each.run.confirmation == confirmation
        ]
        ours, theirs = ([value for code, value in hidden if code == arm] for arm in (source, rival))
        return headline(ours, theirs, 0.0 if self._noiseless else None)

    def confirmation_gain(self, row: ConfirmationRow) -> float | None:
        """The plain gain over the runs that decided a confirmation; None before it is decided.

        By hand the arms are compared pair by pair, so that a run without its counterpart counts for nothing.
        """
        if row.gain is None or row.ended is None:
            return None
        if row.asked == Asker.PEOPLE:
            return row.gain
        number = None if row.asked == Asker.CLOSING else row.id
        arms = [
            [self.plain(run) for run in self._runs[source] if self._decided(run, number) and run.started <= row.ended]
            for source in (row.rival, row.source)
        ]
        return gain_over(*map(fmean, arms)) if all(arms) else row.gain

    @staticmethod
    def _decided(run: RunRow, confirmation: int | None) -> bool:
        return run.purpose is Purpose.CLOSING if confirmation is None else run.confirmation == confirmation

    def gain_on_parent(self, runs: Iterable[RunRow], judged: float | None) -> float | None:
        """The plain gain of an experiment over its parent, by its own runs and those of the parent that had ended at
        its verdict; weighted as the judge does where it was carried onto another parent. None without either."""
        arms: dict[tuple[str, str], list[float]] = defaultdict(list)
        for run in runs:
            if run.purpose in JUDGED:
                arms[run.source, run.parent].append(self.plain(run))
        gains, weights = list[float](), list[float]()
        for (_, parent), own in arms.items():
            theirs = [
                self.plain(run)
                for run in self._runs[parent]
                if run.started + (run.seconds or 0.0) <= (math.inf if judged is None else judged)
            ]
            if theirs:
                gains.append(gain_over(fmean(theirs), fmean(own)))
                weights.append(1 / (1 / len(own) + 1 / len(theirs)))
        return fmean(gains, weights) if gains else None


def _scale(noise: Noise) -> tuple[float | None, float]:
    return noise.sigma, noise.df


def _differs(plain: Headline, better: Headline) -> bool:
    """By more than rounding."""
    return not math.isclose(plain.mean, better.mean, rel_tol=1e-12) or not math.isclose(
        plain.gain, better.gain, rel_tol=1e-9, abs_tol=1e-12 * abs(plain.mean)
    )
