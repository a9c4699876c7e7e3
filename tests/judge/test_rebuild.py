"""Levels of ten thousand ideas and five hundred states: what a verdict costs, and reckoning all of it anew."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from swarm.judge.noise import Observation
from swarm.judge.trunk_levels import Event, Measured, Stepped, TrunkLevels

IDEAS, STATES = 10_000, 500
VERDICT, REBUILD = 0.005, 2.5  # seconds that they may take on one core of a quiet machine
SLACK = 20  # times that on a busy one


def swarm() -> Iterator[Event]:
    chance, tip, level = random.Random(1), "base", 0.0
    for seed in range(4):
        yield Measured(Observation(level + chance.gauss(), "base", "gpu0", seed))
    for number in range(IDEAS):
        gains = number % (IDEAS // STATES) == 0
        effect = 1 + chance.expovariate(0.5) if gains else -chance.expovariate(0.3)
        state, idea = f"s{number}", f"i{number}"
        yield Measured(Observation(level - effect + chance.gauss(), state, "gpu0", 1), tip, idea)
        if gains:
            yield Stepped(state, idea)
            tip, level = state, level - effect


def test_a_verdict_and_a_rebuild_are_cheap() -> None:
    begun, levels = time.process_time(), TrunkLevels("base", 1.0)
    for event in swarm():
        levels.add(event)
    rebuilt = time.process_time() - begun
    assert len(levels.line()) == STATES
    begun, verdicts = time.process_time(), 100
    for number in range(verdicts):
        name = f"late{number}"
        levels.add(Measured(Observation(levels.level(levels.tip).mean, name, "gpu0", 1), levels.tip, name))  # type: ignore[union-attr]
        assert levels.belief(name) and levels.losing("base") is None and levels.line()
        levels.take_touched()
    verdict = (time.process_time() - begun) / verdicts
    print(f"a verdict {1e3 * verdict:.2f} ms, all anew {rebuilt:.2f} s")
    assert verdict < SLACK * VERDICT and rebuilt < SLACK * REBUILD
