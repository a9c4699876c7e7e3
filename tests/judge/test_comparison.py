"""Two arms on the same seeds: golden values against scipy.stats, and no verdict that the interval does not carry."""

from __future__ import annotations

import pytest
import scipy  # it loads scipy.stats when a test asks
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.judge.comparison import compare

OURS = [0.991, 0.989, 0.990, 0.992, 0.988, 0.990, 0.991, 0.989]
THEIRS = [0.994, 0.993, 0.992, 0.996, 0.993, 0.995, 0.993, 0.994]


def test_it_is_what_scipy_says():
    told = compare(OURS, THEIRS)
    t = scipy.stats.ttest_rel(THEIRS, OURS)
    interval = t.confidence_interval()
    assert (told.pairs, told.outcome) == (8, "better")
    assert told.gain == pytest.approx(0.00375)
    assert told.t_p == pytest.approx(t.pvalue)
    assert (told.low, told.high) == pytest.approx((interval.low, interval.high))
    assert told.wilcoxon_p == pytest.approx(
        scipy.stats.wilcoxon([b - a for a, b in zip(OURS, THEIRS, strict=True)]).pvalue
    )
    assert told.std == pytest.approx(scipy.stats.tstd(OURS)) and told.rival_mean == pytest.approx(0.99375)


def test_a_small_gain_in_much_noise_is_inconclusive():
    assert compare([0.99, 1.01, 0.98, 1.0], [1.0, 0.995, 1.01, 0.99]).outcome == "inconclusive"
    assert compare(THEIRS, OURS).outcome == "worse"


def test_a_trainer_without_noise():
    same = compare([1.0, 1.0], [1.0, 1.0])
    assert (same.outcome, same.t_p, same.wilcoxon_p) == ("inconclusive", 1.0, 1.0)
    assert (compare([1.0, 2.0], [2.0, 3.0]).outcome, compare([1.0, 2.0], [2.0, 3.0]).t_p) == ("better", 0.0)


def test_a_comparison_needs_whole_pairs():
    for arms in (([1.0], [1.0]), ([1.0, 2.0], [1.0])):
        with pytest.raises(ValueError, match="pairs"):
            compare(*arms)


values = st.floats(0.9, 1.1).map(lambda value: round(value, 4))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=2, max_size=5))
def test_turning_the_arms_turns_the_answer(pairs):
    ours, theirs = zip(*pairs, strict=True)
    told, turned = compare(ours, theirs), compare(theirs, ours)
    assert turned.gain == pytest.approx(-told.gain)
    assert turned.t_p == pytest.approx(told.t_p) and turned.wilcoxon_p == pytest.approx(told.wilcoxon_p)
    assert {told.outcome, turned.outcome} in ({"better", "worse"}, {"inconclusive"})
    assert (told.outcome == "inconclusive") == (told.low <= 0 <= told.high)
