"""Whether all runs of one code together show that it knows text that it was not to see, where none of them alone did.

A referee asks about some places twice, the second time without the text that comes next, and says by how many nats the
next token was known better where it was shown: over how many places, in the mean, and how far these scatter. Honest
code is off by rounding, as often to the one side as to the other; what many runs add up to shows far smaller hints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from msgspec import Struct

SURE = 6.0  # standard errors above nothing that no honest code reaches
ENOUGH = 16  # places, below which nothing is said


class Hints(Struct, frozen=True):
    """What was seen at `asked` places: the mean in nats, how far they scatter, and how far rounding may move that."""

    asked: int
    mean: float
    spread: float
    rounding: float

    @staticmethod
    def of(values: Mapping[str, object]) -> Hints | None:
        """What a run's referee said; None where it said nothing of the kind."""
        found = [values.get(name) for name in ("asked", "hint", "hint_spread", "hint_rounding")]
        numbers = [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]
        return Hints(int(numbers[0]), *numbers[1:]) if len(numbers) == 4 and numbers[0] >= 1 else None


def together(runs: Iterable[Hints]) -> Hints | None:
    """The hints of several runs as those of one; None where there are none."""
    runs = list(runs)
    asked = sum(run.asked for run in runs)
    if not asked:
        return None
    mean = sum(run.asked * run.mean for run in runs) / asked
    squares = sum(run.asked * (run.spread**2 + run.mean**2) for run in runs) / asked
    return Hints(asked, mean, math.sqrt(max(0.0, squares - mean**2)), max(run.rounding for run in runs))


def knows(runs: Iterable[Hints]) -> str:
    """What is wrong, in one line; "" where nothing is."""
    found = together(runs)
    if found is None or found.asked < ENOUGH:
        return ""
    if found.mean <= SURE * found.spread / math.sqrt(found.asked) + found.rounding:
        return ""
    return (
        f"causality: the token that comes next is known better where it is shown, by {found.mean:.2g} nats over"
        f" {found.asked} places of all runs of this code"
    )
