"""Guards: bounds on numbers beside the metric. What breaks one is never kept, however good its metric is.

A bound is `<= 60` or `>= 1`, or relative to the untouched code: `+10%` (may grow by at most a tenth of it) and `-5%`
(may shrink by at most a twentieth). Pure functions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from statistics import fmean

from msgspec import Struct

from swarm.foreign import LARGEST

_ABSOLUTE = re.compile(r"(<=|>=)\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)")
_RELATIVE = re.compile(r"([+-])\s*(\d+(?:\.\d+)?)\s*%")

_MEMORY = re.compile(  # the peak of a memory, in a unit
    r"(?:peak_|max_)?(?:gpu_)?(vram|memory|mem|ram|rss)(?:_(?:used|usage|peak|allocated|reserved))?_(kb|mb|mib|gb|gib)",
    re.IGNORECASE,
)
MB_OF = {"kb": 1 / 1024, "mb": 1.0, "mib": 1.0, "gb": 1024.0, "gib": 1024.0}
PRINTED = " (as the run printed it: nothing measured it here)"

Values = Mapping[str, object]  # what a run printed, by name


class Guard(Struct, frozen=True):
    """One bound: the mean of `name` over the runs must be at most (`most`) or at least `bound`, or that share of the
    untouched code's."""

    name: str
    most: bool
    bound: float
    relative: bool
    text: str

    @staticmethod
    def parse(name: str, text: str) -> Guard:
        """The guard that `text` writes; ValueError with what it may be."""
        if (match := _ABSOLUTE.fullmatch(text.strip())) and abs(float(match[2])) <= LARGEST:
            return Guard(name, match[1] == "<=", float(match[2]), False, text.strip())
        if (match := _RELATIVE.fullmatch(text.strip())) and float(match[2]) <= LARGEST:
            share = float(match[2]) / 100
            return Guard(name, match[1] == "+", 1 + share if match[1] == "+" else 1 - share, True, text.strip())
        raise ValueError(f'guards.{name} = "{text:.80}" is no bound: write "<= 60", ">= 1", "+10%" or "-5%"')

    def breach(self, runs: Iterable[Values], untouched: Iterable[Values]) -> str:
        """Why these runs are out of bounds, in one line; "" where they are not.

        A relative bound binds nothing where the untouched code has no such number either.
        """
        before = _mean(self.name, untouched)
        if self.relative and before is None:
            return ""
        value = _mean(self.name, runs)
        if value is None:
            return f"guard: no number for {self.name}, which must be {self.text}"
        limit = self.bound
        if self.relative and before is not None:
            limit = before + (self.bound - 1) * abs(before)  # a share of its size: more is more below zero too
        if value <= limit if self.most else value >= limit:
            return ""
        than = f"{self.text} of the untouched code's {before:.6g}" if self.relative else self.text
        return f"guard: {self.name} is {value:.6g}, and must be within {than}"


def breach(
    guards: Mapping[str, str], runs: Iterable[Values], untouched: Iterable[Values], measured: Iterable[str] = ()
) -> str:
    """The first guard that the runs break, in one line; "" where they break none. Of a peak of memory that is not among
    the `measured` it says so: then it was only printed."""
    runs, untouched, measured = list(runs), list(untouched), set(measured)
    for name, text in guards.items():
        if broken := Guard.parse(name, text).breach(runs, untouched):
            return broken + (PRINTED if memory_name(name)[0] and name not in measured else "")
    return ""


def memory_name(name: str) -> tuple[str, str]:
    """Which memory a number is the peak of (vram, memory, mem, ram, rss), by its name, and in which unit; ("", "")
    where it is another number."""
    found = _MEMORY.fullmatch(name)
    return (found[1].lower(), found[2].lower()) if found else ("", "")


def _mean(name: str, runs: Iterable[Values]) -> float | None:
    """The mean over the runs; None where any of them lacks the number."""
    values = [run.get(name) for run in runs]
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]
    return fmean(numbers) if numbers and len(numbers) == len(values) else None
