"""The true effects of simulated ideas: how they are distributed, and the true metric of code that holds some."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

START = 1.0  # val_bpb of the untouched code


@dataclass(frozen=True, slots=True)
class Landscape:
    """How the effects of ideas are distributed; lengths are in val_bpb.

    A share `bad` of all ideas loses, a share `gain` gains, and the rest changes next to nothing: `drift` is the
    deviation of what it changes, about the `cost` that every edit has that does not gain. Gains and losses are
    exponential with these means. A share `needs` of the gains shows only on top of one of three earlier gains, and a
    share `overlaps` has its effect in common with an earlier one: of the two, the larger counts. Gains add up to less
    and less: together never to more than `room`.
    """

    bad: float
    gain: float
    mean_gain: float = 0.0015
    mean_loss: float = 0.0040
    drift: float = 0.0002
    cost: float = 0.0
    needs: float = 0.3
    overlaps: float = 0.2
    room: float = 0.05

    def null(self) -> Landscape:
        """The same without any gain: whoever is crowned here is crowned falsely."""
        return replace(self, gain=0.0, drift=0.0)


LANDSCAPES = {
    "default": Landscape(bad=0.60, gain=0.08),
    "klike": Landscape(bad=0.25, gain=0.06, cost=0.0005),  # like a published run of 126 experiments overnight
}


@dataclass(frozen=True, slots=True)
class Effect:
    """One idea's worth: what it takes off val_bpb (negative: adds), ideas one of which it needs, one it overlaps."""

    size: float
    needs: tuple[int, ...] = ()
    overlaps: int | None = None


class Truth:
    """The effects of one simulated swarm's ideas, numbered in the order in which they are proposed."""

    def __init__(self, landscape: Landscape, seed: int):
        self._landscape, self._chance = landscape, random.Random(f"truth {seed}")
        self._effects: list[Effect] = []
        self._gains: list[int] = []

    def value(self, ideas: Iterable[int]) -> float:
        """The val_bpb that code holding these ideas reaches on average."""
        held = {number: self.effect(number) for number in sorted(ideas)}
        losses = math.fsum(effect.size for effect in held.values() if effect.size < 0)
        gains: dict[int, float] = {}  # the larger one of those that overlap
        for number, effect in held.items():
            if effect.size > 0 and (not effect.needs or any(need in held for need in effect.needs)):
                shared = effect.overlaps if effect.overlaps in gains else number
                gains[shared] = max(gains.get(shared, 0.0), effect.size)
        room = self._landscape.room
        return START - losses - room * -math.expm1(-math.fsum(gains.values()) / room)

    def effect(self, number: int) -> Effect:
        while len(self._effects) <= number:
            self._effects.append(self._draw())
        return self._effects[number]

    def _draw(self) -> Effect:
        """The next idea's effect. Every idea takes as many random numbers, so that landscapes can be compared."""
        kind, size, needs, overlaps = (self._chance.random() for _ in range(4))
        drift, earlier = self._chance.gauss(), [self._chance.random() for _ in range(4)]
        landscape = self._landscape
        if kind < landscape.bad:
            return Effect(landscape.mean_loss * math.log(1 - size) - landscape.cost)
        if kind < 1 - landscape.gain:
            return Effect(landscape.drift * drift - landscape.cost)
        *wins, other = (self._gains[int(which * len(self._gains))] for which in earlier) if self._gains else (None,)
        self._gains.append(len(self._effects))
        return Effect(
            -landscape.mean_gain * math.log(1 - size),
            needs=tuple(wins) if needs < landscape.needs else (),
            overlaps=other if overlaps < landscape.overlaps else None,
        )
