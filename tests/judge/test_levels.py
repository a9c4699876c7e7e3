"""The levels of a trunk's states: held against the exact answer where there is one, and against simulated nights."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.judge.effects import Effects, Seen
from swarm.judge.levels import Levels

SIGMA = 0.0006


def test_a_state_that_was_run_is_the_mean_of_its_runs() -> None:
    levels = Levels(SIGMA)
    for value in (1.0003, 0.9997, 1.0):
        levels.measured("base", value)
    level = levels.level("base")
    assert level.mean == pytest.approx(1.0)
    assert level.deviation == pytest.approx(SIGMA / math.sqrt(3))


def test_one_run_says_what_the_prior_makes_of_it() -> None:
    levels = Levels(SIGMA)
    for _ in range(400):
        levels.measured("base", 1.0)
    levels.tried("idea", "base", 1.0 - 3 * SIGMA)
    gain = levels.effect("idea")
    known = Effects().of(Seen(3.0, math.sqrt(1 + 1 / 400)))
    assert gain.mean == pytest.approx(known.mean, abs=0.01)
    assert gain.real == pytest.approx(known.real, abs=0.01)


def test_children_measure_their_parent() -> None:
    """A lucky baseline: every child that does nothing says so."""
    levels = Levels(SIGMA)
    levels.measured("base", 1.0 - 2 * SIGMA)
    before = levels.level("base")
    for number in range(40):
        levels.tried(f"idea {number}", "base", 1.0 + 0.2 * SIGMA * (-1) ** number)
    after = levels.level("base")
    assert after.deviation < 0.5 * before.deviation
    assert abs(after.mean - 1.0) < 0.5 * abs(before.mean - 1.0)


def test_a_lucky_keep_is_found_out_by_what_is_built_on_it() -> None:
    levels = Levels(SIGMA)
    for _ in range(4):
        levels.measured("base", 1.0)
    levels.tried("lucky", "base", 1.0 - 2.5 * SIGMA)
    lucky = levels.effect("lucky")
    levels.carried("lucky", "kept")
    assert lucky.mean > 0.3
    for number in range(12):
        levels.tried(f"child {number}", "kept", 1.0)
    found = levels.effect("lucky")
    assert found.mean < 0.3 * lucky.mean and found.real < lucky.real


def test_a_real_keep_is_borne_out() -> None:
    levels = Levels(SIGMA)
    for _ in range(4):
        levels.measured("base", 1.0)
    levels.tried("real", "base", 1.0 - 3 * SIGMA)
    first = levels.effect("real")
    levels.carried("real", "kept")
    for number in range(12):
        levels.tried(f"child {number}", "kept", 1.0 - 3 * SIGMA)
    assert levels.effect("real").real > max(0.95, first.real)
    assert levels.level("kept").mean == pytest.approx(1.0 - 3 * SIGMA, abs=0.4 * SIGMA)


def test_an_idea_tried_on_two_parents_counts_on_both() -> None:
    levels = Levels(SIGMA)
    for _ in range(4):
        levels.measured("base", 1.0)
    levels.tried("step", "base", 1.0 - 4 * SIGMA)
    levels.tried("idea", "base", 1.0 - 2 * SIGMA)
    once = levels.effect("idea")
    levels.carried("step", "kept")
    levels.tried("idea", "kept", 1.0 - 6 * SIGMA)
    twice = levels.effect("idea")
    assert twice.mean > once.mean and twice.real > once.real


def test_repeats_of_a_kept_state_find_out_its_last_step() -> None:
    levels = Levels(SIGMA)
    levels.measured("0", 1.0)
    for step in range(5):
        levels.tried(f"idea {step}", str(step), 1.0 - (step + 1) * 1.5 * SIGMA)
        levels.carried(f"idea {step}", str(step + 1))
    believed = levels.effect("idea 4").mean
    for _ in range(8):
        levels.measured("5", 1.0)  # what four steps gained is lost
    assert levels.level("5").mean == pytest.approx(1.0, abs=2 * SIGMA)
    assert levels.effect("idea 4").mean < 0 < believed


@given(st.lists(st.tuples(st.floats(-20, 20), st.booleans()), max_size=40), st.floats(1e-8, 1e3))
def test_whatever_is_measured_beliefs_are_numbers(events: list[tuple[float, bool]], sigma: float) -> None:
    levels, tip = Levels(sigma), "0"
    levels.measured(tip, 5.0)
    for number, (step, keep) in enumerate(events, 1):
        levels.tried(str(number), tip, 5.0 + step * sigma)
        effect = levels.effect(str(number))
        assert math.isfinite(effect.mean) and 0 <= effect.real <= 1
        if keep:
            tip = f"state {number}"
            levels.carried(str(number), tip)
        level = levels.level(tip)
        assert math.isfinite(level.mean) and 0 < level.deviation < 1e3 * sigma
    levels.effects = levels.effects.learned(levels.seen())


def night(seed: int) -> tuple[float, float, float]:
    """200 ideas, of which a tenth gains: the record's error and the levels' error at the end, in sigmas, by the rule
    that carries what gains at least a tenth of a sigma; and the truth's gain."""
    chance = random.Random(seed)
    levels, truth = Levels(1.0), {"0": 0.0}
    levels.measured("0", chance.gauss(0, 1))
    tip = record = "0"
    recorded = 0.0
    for number in range(200):
        kind = chance.random()
        effect = chance.expovariate(0.4) if kind < 0.1 else -chance.expovariate(0.2) if kind < 0.6 else 0.0
        value = truth[tip] - effect + chance.gauss(0, 1)
        levels.tried(str(number), tip, value)
        if levels.effect(str(number)).mean > 0.1:
            truth[state := f"state {number}"] = truth[tip] - effect
            levels.carried(str(number), state)
            tip, record, recorded = state, state, value
        if number % 6 == 5:
            levels.effects = levels.effects.learned(levels.seen())
    return abs(recorded - truth[record]), abs(levels.level(tip).mean - truth[tip]), -truth[tip]


def test_over_nights_the_levels_are_nearer_the_truth_than_the_record() -> None:
    nights = [night(seed) for seed in range(12)]
    record, levels, gain = (fmean(column) for column in zip(*nights, strict=True))
    assert levels < 0.7 * record and gain > 5
