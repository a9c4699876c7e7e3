"""A night as somebody recorded it, judged again: which of its keeps are real gains, and where its last state truly is.

A record is a list of single runs, each better or worse than the newest keep above it. All of them together say more
than each: what was built on a lucky keep measured that keep again (swarm/judge/levels.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from swarm.judge.confirm import around
from swarm.judge.effects import Effect, Effects, Seen
from swarm.judge.levels import MISFIT, Levels

ROUNDS = 6  # of learning how often ideas help here: the shares hardly change any more
LADDER = (0.25, 0.5, 1.0)  # of the most that sigma can be, where nobody says what it is
_HALF_OF_NORMAL = 0.6745  # the median of the size of a standard normal deviate
_PAIR = 2**0.5  # a difference of two runs against one


class Recorded(Struct, frozen=True):
    """One line of a record with a number, sign-normalised: lower is better."""

    line: int
    value: float
    kept: bool
    text: str
    block: int = 0  # a baseline and what follows it; another block is another machine, or another day


class JudgedKeep(Struct, frozen=True):
    """One keep after the baseline. `claimed` is its gain over the keep before it, as recorded; `gain` with its 95%
    interval is what all runs together say, and `real` the chance that it is a gain at all."""

    line: int
    text: str
    value: float
    claimed: float
    gain: float
    low: float
    high: float
    real: float


class JudgedRecord(Struct, frozen=True):
    """A record under one sigma. `recorded` is the newest keep's number, `level` with its 95% interval where that state
    truly is, sign-normalised; `ideas` counts the runs after the baselines."""

    sigma: float
    ideas: int
    keeps: tuple[JudgedKeep, ...]
    recorded: float
    level: float
    low: float
    high: float

    @property
    def likely(self) -> int:
        """Keeps that are at least as likely a real gain as none."""
        return sum(keep.real >= 0.5 for keep in self.keeps)

    @property
    def expected(self) -> float:
        """How many of the keeps are real gains, on average over what is possible."""
        return sum(keep.real for keep in self.keeps)

    @property
    def overstated(self) -> float:
        """By how much the record's last number is better than the state that it stands for."""
        return self.level - self.recorded


def judge_record(rows: Sequence[Recorded], sigma: float) -> JudgedRecord:
    """Judges a record whose runs have this noise, above 0. The first row of each block is its baseline."""
    levels, kept, tips = _learned(rows, sigma)
    level = levels.level(str(tips[rows[-1].block].line))
    low, high = around(level.mean, (level.deviation**2 + MISFIT * sigma**2) ** 0.5)
    keeps = tuple(
        judged_keep(row, before.value - row.value, sigma, levels.effect(str(row.line))) for row, before in kept
    )
    ideas = len(rows) - len({row.block for row in rows})
    return JudgedRecord(sigma, ideas, keeps, _newest_keep(rows), level.mean, low, high)


def effects_of(rows: Sequence[Recorded], sigma: float) -> list[Seen]:
    """What each idea of the record does, as all of its runs together show it, in sigmas."""
    return _learned(rows, sigma)[0].seen()


def most_noise(rows: Sequence[Recorded]) -> float:
    """The most that sigma can be, about: as if all of the smaller differences in a record were noise. 0 where there
    are none."""
    sizes, best = [], {}
    for row in rows:
        if row.block in best:
            sizes.append(abs(row.value - best[row.block]))
        if row.kept or row.block not in best:
            best[row.block] = row.value
    return median(sizes) / _HALF_OF_NORMAL / _PAIR if sizes else 0.0


def _newest_keep(rows: Sequence[Recorded]) -> float:
    """The number of the newest keep, or of its block's baseline."""
    block = [row for row in rows if row.block == rows[-1].block]
    return next((row.value for row in reversed(block) if row.kept), block[0].value)


_Replayed = tuple[Levels, list[tuple[Recorded, Recorded]], dict[int, Recorded]]


def _learned(rows: Sequence[Recorded], sigma: float) -> _Replayed:
    """The record replayed, once it is known how often ideas help in it."""
    effects = Effects()
    for _ in range(ROUNDS - 1):
        effects = effects.learned(_replayed(rows, sigma, effects)[0].seen())
    return _replayed(rows, sigma, effects)


def _replayed(rows: Sequence[Recorded], sigma: float, effects: Effects) -> _Replayed:
    """The levels after all of it, every keep with the keep before it, and the last state of each block."""
    levels, tips, kept = Levels(sigma, effects), dict[int, Recorded](), list[tuple[Recorded, Recorded]]()
    for row in rows:
        name = str(row.line)
        if row.block not in tips:
            levels.measured(name, row.value)
        else:
            levels.tried(name, str(tips[row.block].line), row.value)
            if not row.kept:
                continue
            levels.carried(name, name)
            kept.append((row, tips[row.block]))
        tips[row.block] = row
    return levels, kept, tips


def judged_keep(row: Recorded, claimed: float, sigma: float, effect: Effect) -> JudgedKeep:
    """A keep with the gain that the record claims, and its effect (in sigmas) as all runs together show it."""
    low, high = around(effect.mean, effect.variance**0.5)
    return JudgedKeep(
        line=row.line,
        text=row.text,
        value=row.value,
        claimed=claimed,
        gain=sigma * effect.mean,
        low=sigma * low,
        high=sigma * high,
        real=effect.real,
    )
