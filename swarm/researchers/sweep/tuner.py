"""Where to go next with several knobs at once: a tree-structured Parzen estimator (TPE) over what was measured."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarm.researchers.sweep.knobs import Value
from swarm.researchers.sweep.rules import Grid, Rule

CANDIDATES = 24  # drawn for every question; the best are answered first
REACH = 3.0  # grid steps to each side within which a knob is searched
_GOOD = 16  # observations at most that count as good, ...
_SHARE = 0.25  # ... and their share
_QUARTERS = 4  # a continuous knob moves by quarters of a step: what lies nearer hardly differs
_OTHERWISE = 0.2  # chance of a choice that the good observation did not make


@dataclass(frozen=True, slots=True)
class Observation:
    """Knobs that were measured together: `worth` is what they gained in units of the noise.

    None where there is no gain to be had: the run crashed, or these knobs are being tried right now.
    """

    setting: Mapping[str, Value]
    worth: float | None


@dataclass(frozen=True, slots=True)
class Number:
    """A knob that is a number, seen in grid steps from its present value; searched within `reach` steps."""

    rule: Rule
    value: float
    reach: float
    width: float  # of a kernel, in steps

    def place(self, value: Value) -> float:
        """How many steps `value` lies above the present one."""
        if isinstance(value, str):
            return self.reach
        if self.rule.grid in (Grid.LINEAR, Grid.WHOLE):
            return (value - self.value) / self.rule.step
        start = self.rule.shifted(self.value, 0)
        return math.log(value / start, self.rule.step) if value > 0 else -self.reach

    def draw(self, near: float, chance: random.Random) -> float:
        drawn = chance.gauss(near, self.width)
        return min(max(drawn, -self.reach), self.reach)

    def anywhere(self, chance: random.Random) -> float:
        return chance.uniform(-self.reach, self.reach)

    def likeness(self, one: float, other: float) -> float:
        return math.exp(-0.5 * ((one - other) / self.width) ** 2) / (self.width * math.sqrt(2 * math.pi))

    def everywhere(self) -> float:
        return 0.5 / self.reach

    def moved(self, place: float) -> Value | None:
        """The new value at `place`, as the file would write it; None where it is the present one."""
        fine = _QUARTERS if self.rule.continuous else 1
        steps = round(place * fine) / fine
        wanted = self.rule.shifted(self.value, steps) if steps else self.value
        return next(self.rule.within(self.value, wanted), None)


@dataclass(frozen=True, slots=True)
class Choice:
    """A knob that is one of some words."""

    value: Value
    options: tuple[Value, ...]

    def place(self, value: Value) -> Value:
        return value

    def draw(self, near: Value, chance: random.Random) -> Value:
        return self.anywhere(chance) if chance.random() < _OTHERWISE else near

    def anywhere(self, chance: random.Random) -> Value:
        return chance.choice(self.options)

    def likeness(self, one: Value, other: Value) -> float:
        return 1 - _OTHERWISE if one == other else _OTHERWISE / len(self.options)

    def everywhere(self) -> float:
        return 1 / len(self.options)

    def moved(self, place: Value) -> Value | None:
        return place if place != self.value and place in self.options else None


def dimension(rule: Rule, value: Value, boldness: float = 0.0) -> Number | Choice:
    """A knob as the sampler sees it. Boldness 0 looks around the present value, every 1 more a step farther."""
    if rule.grid is Grid.CHOICE or isinstance(value, str):
        return Choice(value, tuple(dict.fromkeys((value, *rule.choices))))
    return Number(rule, value, REACH + boldness, 0.8 + 0.4 * boldness)


def suggest(
    dimensions: Mapping[str, Number | Choice], seen: Sequence[Observation], chance: random.Random
) -> list[dict[str, Value]]:
    """Moves of these knobs to try next, best first; a knob that would stay where it is is left out of a move.

    Candidates are drawn around the good observations, a few anywhere, and ordered by how much likelier they are
    among the good ones than among the others.
    """
    names = tuple(dimensions)
    places = [
        ({name: dimensions[name].place(o.setting[name]) for name in names}, o.worth)
        for o in seen
        if all(name in o.setting for name in names)
    ]
    measured = [index for index, (_, worth) in enumerate(places) if worth is not None]
    most = min(_GOOD, math.ceil(len(measured) * _SHARE))
    best = set(heapq.nlargest(most, measured, key=lambda index: places[index][1] or 0.0))
    good = [places[index][0] for index in sorted(best)]
    others = [place for index, (place, _) in enumerate(places) if index not in best]
    scored: list[tuple[float, int, dict[str, Value]]] = []
    for number in range(CANDIDATES):
        near = chance.choice(good) if good and number % 4 else None
        place = {
            name: dimension.draw(near[name], chance) if near else dimension.anywhere(chance)  # type: ignore[arg-type]
            for name, dimension in dimensions.items()
        }
        move = {name: to for name in names if (to := dimensions[name].moved(place[name])) is not None}  # type: ignore[arg-type]
        if move:
            score = _density(dimensions, good, place) - _density(dimensions, others, place)
            scored.append((score, -number, move))
    return [move for *_, move in sorted(scored, key=lambda one: one[:2], reverse=True)]


def _density(
    dimensions: Mapping[str, Number | Choice], points: Sequence[Mapping[str, object]], place: Mapping[str, object]
) -> float:
    """The log density of `place` among the points: a product kernel around each, and one flat one."""
    total = math.prod(dimension.everywhere() for dimension in dimensions.values())
    for point in points:
        likeness = 1.0
        for name, dimension in dimensions.items():
            likeness *= dimension.likeness(place[name], point[name])  # type: ignore[arg-type]
        total += likeness
    return math.log(total / (len(points) + 1))
