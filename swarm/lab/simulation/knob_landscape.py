"""A finite, continuous space: a file of constants, and the hidden truth over their values, interactions among it.

The ideas of ideas.py never run out; the moves of a few constants do. So this is where it shows whether a researcher
that turns knobs still finds something new after thousands of experiments.
"""

from __future__ import annotations

import ast
import functools
import math
import random

from swarm.lab.simulation.ideas import KNOBS, SETTINGS
from swarm.lab.simulation.landscape import START, Landscape
from swarm.records import Source

DEVICE = "sim"
STEP = math.log(1.5)  # one unit of a constant
FLOOR = 0.1  # of where a constant began: less than that is hardly another value
WHOLE = {"DEPTH": 8}  # constants that are counted; one unit is 1
OFF = 0.7  # share of the constants that do not stand at their best
FARTHEST = 3.0  # units that they are off at most
IDLE = 0.15  # share of the constants that change nothing
PAIRS = 10  # pairs of constants that want to be turned together
STIFFNESS = 4.0  # how much more a pair costs that is turned apart, against one constant


def untouched_knobs() -> Source:
    """The code before any idea."""
    values = {name: value for name, (value, _, _) in KNOBS.items()} | WHOLE
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    return Source({SETTINGS: "\n".join([*lines, f"print({', '.join(values)})", ""]).encode()})


class KnobTruth:
    """The true metric over the constants: a bowl with narrow valleys, in which no constant alone leads to the bottom.

    What can be gained is the landscape's `room`; nothing where it has no gains.
    """

    def __init__(self, landscape: Landscape, seed: int):
        chance = random.Random(f"knobs {seed}")
        self._start = _values(untouched_knobs().files[SETTINGS])
        names = list(self._start)
        best = {name: chance.uniform(-FARTHEST, FARTHEST) if chance.random() < OFF else 0.0 for name in names}
        self._costs = {name: 0.0 if chance.random() < IDLE else chance.uniform(0.2, 1.0) for name in names}
        self._pairs = [(*chance.sample(names, 2), chance.choice((-1, 1))) for _ in range(PAIRS)]
        self._best = best
        self._scale = landscape.room / self._cost(self._units(self._start))
        if not landscape.gain:
            self._best = dict.fromkeys(names, 0.0)
        self._room = landscape.room if landscape.gain else 0.0

    def value(self, source: Source) -> float:
        """The metric that the code reaches on average."""
        return START - self._room + self._scale * self._cost(self._units(_values(source.files[SETTINGS])))

    def _units(self, values: dict[str, float]) -> dict[str, float]:
        """How far each constant stands from where it began; zero is finitely far."""
        return {
            name: value - start if name in WHOLE else math.log((max(value, 0.0) + FLOOR * start) / start) / STEP
            for name, value in values.items()
            for start in (self._start[name],)
        }

    def _cost(self, units: dict[str, float]) -> float:
        off = {name: units[name] - self._best[name] for name in units}
        alone = math.fsum(cost * off[name] ** 2 for name, cost in self._costs.items())
        return alone + math.fsum(STIFFNESS * (off[one] + sign * off[other]) ** 2 for one, other, sign in self._pairs)


@functools.lru_cache(maxsize=4096)
def _values(text: bytes) -> dict[str, float]:
    return {
        target.id: float(ast.literal_eval(node.value))
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
