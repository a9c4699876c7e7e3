"""A step's gain in the stack, held against the integral that it stands for.

python -m pytest tests/judge/test_stack_gain.py
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.judge.effects import GAINS, LOSSES, NOTHING, Effects, Seen
from swarm.judge.stack_gain import CHANGED, pooled, stack_gain

looks = st.builds(Seen, st.floats(-12, 12), st.floats(0.2, 2.0))
_GRID = [-60 + number * 0.004 for number in range(30_001)]


def prior(effect: float) -> float:
    shares = Effects().shares
    found = shares[0] * _normal(effect, NOTHING)
    for share, size in zip(shares[1:], (*LOSSES, *GAINS), strict=True):
        along = effect if size in GAINS and share in shares[-len(GAINS) :] else -effect
        found += share * math.exp(-along / size) / size if along >= 0 else 0.0
    return found


def _normal(x: float, s: float) -> float:
    return math.exp(-0.5 * (x / s) ** 2) / (s * math.sqrt(2 * math.pi))


def integral(first: Seen, stack: Seen) -> tuple[float, float]:
    """Mean and variance of the gain in the stack, by summing over a fine grid."""
    density = [(e, prior(e)) for e in _GRID]
    alone = sum(f * _normal(first.x - e, first.s) for e, f in density) * 0.004
    one = [f * _normal(first.x - e, first.s) * _normal(stack.x - e, stack.s) for e, f in density]
    two = [alone * f * _normal(stack.x - e, stack.s) for e, f in density]
    weights = [(1 - CHANGED) * a + CHANGED * b for a, b in zip(one, two, strict=True)]
    whole = math.fsum(weights)
    mean = math.fsum(w * e for w, e in zip(weights, _GRID, strict=True)) / whole
    return mean, math.fsum(w * (e - mean) ** 2 for w, e in zip(weights, _GRID, strict=True)) / whole


@settings(deadline=None, max_examples=12)
@given(looks, looks)
def test_it_is_the_integral(first: Seen, stack: Seen) -> None:
    found = stack_gain(first, [stack], Effects())
    mean, variance = integral(first, stack)
    assert found.mean == pytest.approx(mean, abs=0.02)
    assert found.variance == pytest.approx(variance, rel=0.05, abs=0.01)


@given(st.none() | st.builds(Seen, st.floats(-1e15, 1e15), st.floats(1e-6, 1e6)),
       st.lists(st.builds(Seen, st.floats(-1e15, 1e15), st.floats(1e-6, 1e6)), min_size=1, max_size=3))  # fmt: skip
def test_no_number_is_too_far_out(first: Seen | None, stack: list[Seen]) -> None:
    found = stack_gain(first, stack, Effects())
    assert math.isfinite(found.mean) and math.isfinite(found.variance) and found.variance >= 0
    assert 0 <= found.real <= 1 and found.variance >= 0


def test_where_both_agree_the_first_look_narrows_the_second() -> None:
    alone, both = stack_gain(None, [Seen(3, 0.7)], Effects()), stack_gain(Seen(3, 0.7), [Seen(3, 0.7)], Effects())
    assert both.variance < alone.variance


def test_where_they_are_far_apart_the_stack_decides() -> None:
    found = stack_gain(Seen(9.0, 0.7), [Seen(0.0, 0.5)], Effects())
    assert abs(found.mean) < 0.3 < stack_gain(Seen(9.0, 0.7), (), Effects()).mean


def test_without_noise_the_newest_look_is_the_truth() -> None:
    found = stack_gain(Seen(1.0, 0.0), [Seen(0.3, 0.0), Seen(0.2, 0.0)], Effects())
    assert (found.mean, found.variance) == (0.2, 0.0)


def test_nothing_seen_is_no_gain() -> None:
    with pytest.raises(ValueError, match="nothing was seen"):
        stack_gain(None, (), Effects())


def test_looks_are_pooled_by_inverse_variance() -> None:
    assert pooled([Seen(1.0, 1.0), Seen(4.0, 0.5)]) == Seen(pytest.approx(3.4), pytest.approx(1 / math.sqrt(5)))
