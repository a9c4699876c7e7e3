from __future__ import annotations

import math
import random
from statistics import median

from swarm.researchers.sweep.rules import Grid, Rule
from swarm.researchers.sweep.tuner import CANDIDATES, Observation, dimension, suggest

LOG = Rule("learning rate", Grid.LOG, 1e-4, 1, step=1.5)
LINEAR = Rule("schedule", Grid.LINEAR, 0, 1, step=0.1)
WHOLE = Rule("architecture", Grid.WHOLE, 1, 48, step=1)
CHOICE = Rule("activation", Grid.CHOICE, choices=("relu2", "gelu", "silu"))


def test_learns_where_two_knobs_are_best_together() -> None:
    """A narrow valley, in which neither knob alone gains: the late suggestions lie nearer its bottom than chance."""
    misses: list[float] = []
    for seed in range(4):
        chance = random.Random(seed)
        seen = [Observation({"a": 0.02, "b": 0.02}, 0.0)]

        def steps(value: object) -> float:
            return math.log(float(value) / 0.02, 1.5)  # type: ignore[arg-type]

        for _ in range(60):
            dimensions = {"a": dimension(LOG, 0.02), "b": dimension(LOG, 0.02)}
            setting = {"a": 0.02, "b": 0.02, **suggest(dimensions, seen, chance)[0]}
            a, b = steps(setting["a"]), steps(setting["b"])
            worth = -4 * (a + b) ** 2 - (a - 2) ** 2 - (b + 2) ** 2 + 8 + chance.gauss(0, 0.2)
            seen.append(Observation(setting, worth))
        misses += [math.hypot(steps(o.setting["a"]) - 2, steps(o.setting["b"]) + 2) for o in seen[-15:]]
    anywhere = random.Random(9)
    by_chance = [math.hypot(anywhere.uniform(-3, 3) - 2, anywhere.uniform(-3, 3) + 2) for _ in range(400)]
    assert median(misses) < 0.5 * median(by_chance)


def test_keeps_away_from_what_is_tried_now_and_from_crashes() -> None:
    seen = [Observation({"x": x}, -((x - 0.6) ** 2)) for x in (0.2, 0.5, 0.6, 0.7)]

    def near(more: list[Observation]) -> int:
        answers = [suggest({"x": dimension(LINEAR, 0.5)}, [*seen, *more], random.Random(n))[0] for n in range(40)]
        return sum(abs(float(answer["x"]) - 0.6) < 0.08 for answer in answers)

    assert near([]) > near([Observation({"x": 0.6}, None)] * 6)


def test_moves_are_steps_of_the_knobs_grid_within_its_range() -> None:
    dimensions = {
        "lr": dimension(LOG, 0.02, 3),
        "depth": dimension(WHOLE, 2, 3),
        "warmup": dimension(LINEAR, 0.0, 3),
        "activation": dimension(CHOICE, "relu2"),
    }
    for seed in range(20):
        moves = suggest(dimensions, [], random.Random(seed))
        assert 0 < len(moves) <= CANDIDATES
        for move in moves:
            assert all(move[name] != was for name, was in (("lr", 0.02), ("depth", 2), ("warmup", 0.0)) if name in move)
            assert type(move.get("depth", 1)) is int and 1 <= move.get("depth", 1)  # type: ignore[operator]
            assert 0 <= move.get("warmup", 0.1) <= 0.6  # type: ignore[operator]
            assert move.get("activation", "gelu") in ("gelu", "silu")


def test_same_question_same_answer() -> None:
    seen = [Observation({"x": 0.02}, 0.0), Observation({"x": "words"}, 3.0), Observation({"y": 1}, 1.0)]
    asked = [suggest({"x": dimension(LOG, 0.02)}, seen, random.Random(7)) for _ in range(3)]
    assert asked[0] == asked[1] == asked[2] != []
