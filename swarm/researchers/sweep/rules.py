"""How one knob may be turned, as arithmetic on its value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from swarm.researchers.sweep.literals import Value


class Grid(StrEnum):
    """How a knob's neighbours lie."""

    LOG = "log"  # a continuous number; neighbours by a factor
    LINEAR = "linear"  # a continuous number; neighbours by a difference
    POWER = "power"  # neighbours by a factor, only these
    WHOLE = "whole"  # neighbours by a difference, only these
    CHOICE = "choice"  # one of some words, or on and off


@dataclass(frozen=True, slots=True)
class Rule:
    """How one knob may be turned. `step` is the factor or difference to a neighbour, `weight` how often it pays."""

    category: str
    grid: Grid
    low: float = 0.0
    high: float = math.inf
    step: float = 2.0
    weight: float = 1.0
    up: str = ""
    down: str = ""
    choices: tuple[Value, ...] = ()

    @property
    def continuous(self) -> bool:
        return self.grid in (Grid.LOG, Grid.LINEAR)

    def neighbours(self, value: Value) -> Iterator[Value]:
        """The values next to `value`, nearest first, within the rule's range."""
        if isinstance(value, str) or self.grid is Grid.CHOICE:
            yield from (choice for choice in self.choices if choice != value)
            return
        distances = (1, -1) if self.continuous else (1, -1, 2, -2)
        yield from dict.fromkeys(new for d in distances for new in self.within(value, self.shifted(value, d)))

    def shifted(self, value: float, distance: float) -> float:
        """`value` moved by `distance` steps of the grid."""
        if self.grid in (Grid.LINEAR, Grid.WHOLE):
            return value + distance * self.step
        start = value if value > 0 else max(self.low, 1e-3)  # a factor never leaves 0: begin at a small value
        return start * self.step**distance

    def distance(self, old: float, new: float) -> float:
        """How many steps `new` lies above `old`; 0 where that has no meaning."""
        if self.grid in (Grid.LINEAR, Grid.WHOLE):
            return (new - old) / self.step
        return math.log(new / old, self.step) if old > 0 and new > 0 else 0.0

    def within(self, value: float, wanted: float) -> Iterator[Value]:
        """`wanted` as this knob is written (int stays int, two significant digits), if that is a new valid value."""
        bounded = min(max(wanted, self.low), self.high)
        if self.grid is Grid.LOG and bounded >= 1000:
            bounded = significant(bounded)
        written = round(bounded) if isinstance(value, int) else significant(bounded)
        if written != value and (self.low <= written <= self.high):
            yield written

    def span(self, value: float) -> tuple[float, float]:
        """The range around `value` that is searched: three steps to each side."""
        return max(self.low, self.shifted(value, -3)), min(self.high, self.shifted(value, 3))


def significant(value: float, digits: int = 2) -> float:
    """`value` rounded to so many significant digits, so that titles read well; near 1, of what is missing."""
    if 0.98 <= value < 1:
        return round(1 - float(f"{1 - value:.{digits - 1}e}"), 12)
    return float(f"{value:.{digits - 1}e}")
