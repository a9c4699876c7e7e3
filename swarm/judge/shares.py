"""How often ideas help here, learned while they come in: expectation maximisation, a few ideas at a time.

Each idea counts for the parts of the mixture as it was last looked at. A new run looks at its own idea again and at the
next few in turn, so that the work of one run is the same after ten ideas and after ten thousand (incremental EM, Neal
and Hinton 1998, https://doi.org/10.1007/978-94-011-5014-9_12).
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add, sub

from swarm.judge.effects import Effects, Seen, log_densities, weights
from swarm.judge.levels import Levels

LOOKS = 12  # ideas that are looked at again at every run


class Shares:
    """What every idea of one trunk counts for, and so the shares that the next effects are judged by."""

    def __init__(self) -> None:
        self._parts: dict[str, list[float]] = {}
        self._densities: dict[str, tuple[Seen, list[float]]] = {}  # of each part, where the idea was last seen
        self._ideas: list[str] = []
        self._totals = self._none = [0.0] * len(Effects().shares)
        self._next = 0

    def learn(self, levels: Levels, idea: str) -> None:
        """After a run of that idea: `levels` judges by the new shares from now on."""
        if idea not in self._parts:
            self._ideas.append(idea)
        logs = levels.effects.logs()
        self._look(levels, idea, logs)
        for _ in range(min(LOOKS, len(self._ideas) - 1)):
            self._next = (self._next + 1) % len(self._ideas)
            self._look(levels, self._ideas[self._next], logs)
        levels.effects = Effects.from_totals(self._totals)

    def _look(self, levels: Levels, idea: str, logs: Sequence[float]) -> None:
        seen = levels.effect_seen(idea)
        known = self._densities.get(idea)
        if known is None or known[0] is not seen:  # most ideas look as they did
            known = self._densities[idea] = seen, log_densities(seen)
        before, now = self._parts.get(idea, self._none), weights(logs, known[1])
        self._parts[idea] = now
        self._totals = list(map(add, self._totals, map(sub, now, before)))
