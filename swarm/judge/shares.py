"""How often ideas help here, learned while they come in: expectation maximisation, a few ideas at a time.

Each idea counts for the parts of the mixture as it was last looked at. A new run looks at its own idea again and at the
next few in turn, so that the work of one run is the same after ten ideas and after ten thousand (incremental EM, Neal
and Hinton 1998, https://doi.org/10.1007/978-94-011-5014-9_12).
"""

from __future__ import annotations

from swarm.judge.effects import Effects
from swarm.judge.levels import Levels

LOOKS = 12  # ideas that are looked at again at every run


class Shares:
    """What every idea of one trunk counts for, and so the shares that the next effects are judged by."""

    def __init__(self) -> None:
        self._parts: dict[str, list[float]] = {}
        self._ideas: list[str] = []
        self._totals = [0.0] * len(Effects().shares)
        self._next = 0

    def learn(self, levels: Levels, idea: str) -> None:
        """After a run of that idea: `levels` judges by the new shares from now on."""
        if idea not in self._parts:
            self._ideas.append(idea)
        self._look(levels, idea)
        for _ in range(min(LOOKS, len(self._ideas) - 1)):
            self._next = (self._next + 1) % len(self._ideas)
            self._look(levels, self._ideas[self._next])
        levels.effects = Effects.from_totals(self._totals)

    def _look(self, levels: Levels, idea: str) -> None:
        before, now = self._parts.get(idea), levels.effects.parts(levels.effect_seen(idea))
        self._parts[idea] = now
        for place, part in enumerate(now):
            self._totals[place] += part - (before[place] if before else 0.0)
