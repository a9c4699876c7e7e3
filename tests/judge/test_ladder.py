"""The scale ladder on arms whose truth is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.judge.ladder import FURTHEST, LadderVerdict, Pairs, climb, times_longer

BUDGETS = (300.0, 600.0, 1200.0)
NUMBERS = st.floats(-1e6, 1e6)


def truth(budget: float) -> float:
    """What the baseline reaches in that time."""
    return 1.2 - 0.05 * math.log2(budget / 300)


def pairs(multipliers: tuple[float, ...], noise: float = 0.001, seeds: int = 8) -> list[Pairs]:
    """An arm that trains like the baseline in so many times the time."""
    chance = random.Random(1)
    return [
        Pairs(
            budget,
            tuple(chance.gauss(truth(budget * times), noise) for _ in range(seeds)),
            tuple(chance.gauss(truth(budget), noise) for _ in range(seeds)),
        )
        for budget, times in zip(BUDGETS, multipliers, strict=True)
    ]


@pytest.mark.parametrize(
    ("multipliers", "verdict"),
    [
        ((1.5, 1.5, 1.5), LadderVerdict.HOLDS),
        ((1.2, 1.5, 2.0), LadderVerdict.HOLDS),
        ((2.0, 1.5, 1.2), LadderVerdict.SHRINKS),
        ((1.5, 1.2, 1.0), LadderVerdict.GONE),
        ((1.5, 1.2, 0.8), LadderVerdict.GONE),
        ((1.0, 1.0, 1.0), LadderVerdict.UNCLEAR),
    ],
)
def test_the_verdict_and_the_multipliers_are_the_truth(multipliers: tuple[float, ...], verdict: LadderVerdict) -> None:
    found = climb(pairs(multipliers))
    assert found and found.verdict is verdict
    for rung, times in zip(found.rungs, multipliers, strict=True):
        assert rung.multiplier and rung.multiplier.low <= times <= rung.multiplier.high
        assert rung.multiplier.value == pytest.approx(times, rel=0.05)
        assert rung.low <= truth(rung.budget) - truth(rung.budget * times) <= rung.high


def test_noise_widens_the_interval_and_makes_it_unclear() -> None:
    found, sharp = climb(pairs((1.5, 1.5, 1.5), noise=0.2, seeds=3)), climb(pairs((1.5, 1.5, 1.5)))
    assert found and sharp and found.verdict is LadderVerdict.UNCLEAR
    wide, narrow = found.rungs[1].multiplier, sharp.rungs[1].multiplier
    assert narrow and (wide is None or wide.high / wide.low > 3 * narrow.high / narrow.low)


def test_what_lies_beyond_the_ladder_is_marked() -> None:
    found = climb(pairs((1.5, 1.5, 1.5)))
    assert found and [rung.multiplier.beyond for rung in found.rungs if rung.multiplier] == [False, False, True]


def test_a_baseline_that_does_not_fall_gives_no_multiplier() -> None:
    flat = [Pairs(budget, (0.9, 0.91), (1.0, 1.0)) for budget in BUDGETS]
    found = climb(flat)
    assert found and all(rung.multiplier is None for rung in found.rungs) and found.verdict is LadderVerdict.HOLDS


def test_equal_numbers_of_equal_seeds_need_no_noise() -> None:
    exact = [Pairs(budget, (truth(2 * budget),) * 2, (truth(budget),) * 2) for budget in BUDGETS]
    found = climb(exact)
    assert found and found.verdict is LadderVerdict.HOLDS
    assert [rung.multiplier.value for rung in found.rungs if rung.multiplier] == pytest.approx([2.0, 2.0, 2.0])


def test_too_little_is_no_ladder() -> None:
    assert climb(pairs((1.5, 1.5, 1.5))[:1]) is None
    assert climb([Pairs(300, (1.0,), (1.0,)), Pairs(600, (), ())]) is None


@given(st.lists(NUMBERS, min_size=2, max_size=5), NUMBERS, st.integers(0, 4))
def test_no_ladder_raises_and_no_multiplier_is_boundless(ladder: list[float], value: float, place: int) -> None:
    budgets = [300.0 * 2**step for step in range(len(ladder))]
    found = times_longer(budgets, ladder, value, budgets[place % len(ladder)])
    assert found is None or 1 / FURTHEST * 0.99 <= found <= FURTHEST * 1.01
