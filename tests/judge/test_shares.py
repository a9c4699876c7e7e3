"""How often ideas help is learned while they come in, near to what all of them at once would teach."""

from __future__ import annotations

import random

import pytest

from swarm.judge.effects import Effects
from swarm.judge.levels import Levels
from swarm.judge.shares import Shares


@pytest.mark.parametrize("gaining", [0.02, 0.5])
def test_a_few_looks_at_a_time_come_to_what_all_ideas_say_together(gaining: float) -> None:
    chance, levels, shares = random.Random(2), Levels(1.0), Shares()
    for _ in range(400):
        levels.measured("base", 0.0)
    for number in range(300):
        gain = chance.expovariate(0.25) if chance.random() < gaining else 0.0
        levels.tried(f"{number}", "base", -gain + chance.gauss())
        shares.learn(levels, f"{number}")
    together = Effects()
    for _ in range(30):
        together = together.learned(levels.seen())
    assert sum(levels.effects.shares) == pytest.approx(1.0)
    assert levels.effects.shares == pytest.approx(together.shares, abs=0.08)
    assert (sum(levels.effects.shares[-2:]) > 0.25) == (gaining > 0.25)
