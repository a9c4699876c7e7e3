from __future__ import annotations

import math
import random
from statistics import median

from swarm.researchers.sweep.tuner import Observation, suggest


def test_learns_where_the_optimum_is() -> None:
    """Twenty noisy looks at a parabola: the late suggestions lie nearer its top than chance."""
    best, misses = 0.05, []
    for seed in range(4):
        noise = random.Random(seed)
        seen = [Observation(0.02, 0.0)]
        for step in range(20):
            value = suggest(0.005, 0.1, True, seen, [], seed * 100 + step)
            seen.append(Observation(value, -2 * math.log(value / best) ** 2 + noise.gauss(0, 0.2)))
        misses += [abs(math.log(o.value / best)) for o in seen[-8:]]
    by_chance = [abs(math.log(0.005 * 20 ** (share / 99) / best)) for share in range(100)]
    assert median(misses) < 0.5 * median(by_chance)


def test_keeps_away_from_what_is_measured_now_and_from_crashes() -> None:
    seen = [Observation(x, -((x - 0.6) ** 2)) for x in (0.2, 0.5, 0.6, 0.7)]
    free = [suggest(0.0, 1.0, False, seen, [], seed) for seed in range(30)]
    pending = [suggest(0.0, 1.0, False, seen, [0.6] * 6, seed) for seed in range(30)]
    crashed = [suggest(0.0, 1.0, False, [*seen, *[Observation(0.6, None)] * 6], [], seed) for seed in range(30)]

    def near(values: list[float]) -> int:
        return sum(abs(value - 0.6) < 0.1 for value in values)

    assert near(free) > near(pending)
    assert near(free) > near(crashed)


def test_same_question_same_answer_and_in_range() -> None:
    seen = [Observation(0.02, 0.0), Observation(5.0, 3.0)]  # the second lies outside
    answers = {suggest(0.01, 0.04, True, seen, [0.03, 9.0], 7) for _ in range(3)}
    assert len(answers) == 1
    assert 0.01 <= answers.pop() <= 0.04
