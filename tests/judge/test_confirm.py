"""Champions and headlines: golden values against scipy.stats, and honest error rates."""

from __future__ import annotations

import math
import random

import pytest
import scipy  # it loads scipy.stats when a test asks
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.judge.closing import headline
from swarm.judge.confirm import (
    FRESH_RUNS,
    SHARE,
    TESTS,
    UNSTEADY_RUNS,
    affordable,
    around,
    confirm,
    deserves_confirmation,
    interval,
    shrunken,
)

CANDIDATE, CHAMPION = [0.990, 0.991, 0.989, 0.990], [0.994, 0.995, 0.993, 0.994]


def test_a_clear_gain_is_confirmed_with_the_pooled_sigma():
    found = confirm(CANDIDATE, CHAMPION, 0.001, 20)
    t = 0.004 / (0.001 * math.sqrt(0.5))
    assert found.gain == pytest.approx(0.004)
    assert found.p == pytest.approx(scipy.stats.t.sf(t, 20))
    assert (found.low, found.high) == pytest.approx(scipy.stats.t.interval(0.95, 20, 0.004, 0.001 * math.sqrt(0.5)))
    assert (found.n, found.m, found.wanted, found.confirmed) == (4, 4, FRESH_RUNS, True)


def test_a_known_sigma_gives_the_normal_test():
    assert confirm(CANDIDATE, CHAMPION, 0.001).p == pytest.approx(scipy.stats.norm.sf(0.004 / (0.001 * math.sqrt(0.5))))


def test_no_gain_a_loss_and_too_few_runs_are_not_confirmed():
    assert not confirm(CHAMPION, CHAMPION, 0.001, 20).confirmed
    assert not confirm(CHAMPION, CANDIDATE, 0.001, 20).confirmed
    assert not confirm(CANDIDATE[:3], CHAMPION, 0.001, 20).confirmed
    with pytest.raises(ValueError, match="two fresh runs"):
        confirm(CANDIDATE[:1], CHAMPION, 0.001, 20)


def test_an_unsteady_candidate_is_tested_by_welch_on_eight_and_eight():
    unsteady = [0.980, 0.999, 0.985, 0.994]
    first = confirm(unsteady, CHAMPION, 0.001, 20)
    assert (first.wanted, first.confirmed) == (UNSTEADY_RUNS, False)
    assert first.p == pytest.approx(
        scipy.stats.ttest_ind(unsteady, CHAMPION, equal_var=False, alternative="less").pvalue
    )
    steady_gain = [value - 0.03 for value in unsteady * 2]
    assert confirm(steady_gain, CHAMPION * 2, 0.001, 20).confirmed


def test_without_sigma_it_is_welch():
    found = confirm(CANDIDATE * 2, CHAMPION * 2, None)
    welch = scipy.stats.ttest_ind(CANDIDATE * 2, CHAMPION * 2, equal_var=False, alternative="less")
    assert found.p == pytest.approx(welch.pvalue)
    assert found.confirmed


def test_a_metric_without_noise():
    assert confirm([0.9] * 4, [1.0] * 4, 0.0).confirmed
    assert not confirm([1.0] * 4, [1.0] * 4, 0.0).confirmed
    assert confirm([0.9] * 8, [1.0] * 8, None).p == 0


def test_ten_tests_of_nothing_rarely_make_a_champion():
    rng = random.Random(3)
    rounds = 4000
    champions = sum(
        confirm([rng.gauss(1, 0.0006) for _ in range(4)], [rng.gauss(1, 0.0006) for _ in range(4)], 0.0006).confirmed
        for _ in range(rounds)
    )
    assert champions / rounds < 0.0075


def test_a_gain_is_shrunken_by_its_uncertainty():
    assert shrunken(0.002, 0.0, 0.0015) == 0.002
    assert shrunken(0.002, 0.0015, 0.0015) == pytest.approx(0.001)
    assert shrunken(0.002, 1.0, 0.0015) == pytest.approx(0, abs=1e-5)


def test_a_confirmation_is_earned_by_more_than_two_sigma_after_shrinking():
    assert deserves_confirmation(0.0016, 0.0004, 0.0006)
    assert not deserves_confirmation(0.0012, 0.0004, 0.0006)
    assert not deserves_confirmation(0.0016, 0.0012, 0.0006), "too uncertain"


def test_all_confirmations_of_a_night_cost_a_tenth_of_its_runs_and_one_is_left_for_the_end():
    assert affordable(0, 0, 160)
    assert not affordable(0, 0, 159), "eight for this one, and eight for the last"
    assert affordable(0, 0, 80, last=True)
    assert not affordable(0, 0, 79, last=True)
    assert not affordable(2, 16, 319)
    assert affordable(8, 64, 2000)
    assert not affordable(9, 72, 2000), "one is left for the night's end"
    assert affordable(9, 72, 2000, last=True)
    assert not affordable(10, 80, 2000, last=True)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), max_size=200), st.integers(0, 40))
def test_no_night_spends_more_than_its_tenth_and_who_tested_once_can_pay_for_the_last(batches, more):
    tests = spent = runs = 0
    for batch in batches:
        runs += batch
        if affordable(tests, spent, runs):
            tests, spent, runs = tests + 1, spent + 2 * FRESH_RUNS, runs + 2 * FRESH_RUNS
    assert tests == 0 or affordable(tests, spent, runs + more, last=True)
    last = affordable(tests, spent, runs, last=True)
    assert spent + 2 * FRESH_RUNS * last <= max(SHARE * runs, 0) and tests + last <= TESTS


@settings(deadline=None)
@given(st.floats(0.0001, 0.01), st.floats(0, 0.01), st.floats(1e-5, 0.01))
def test_shrinking_never_turns_or_grows_a_gain(gain, se, tau):
    assert 0 <= shrunken(gain, se, tau) <= gain
    assert shrunken(gain, 2 * se, tau) <= shrunken(gain, se, tau)


def test_the_interval_of_a_mean():
    values = [1.0, 1.2, 1.1]
    assert interval(values, 0.1) == pytest.approx(
        (1.1 - 1.96 * 0.1 / math.sqrt(3), 1.1 + 1.96 * 0.1 / math.sqrt(3)), abs=1e-4
    )
    assert interval(values, 0.1, 5) == pytest.approx(scipy.stats.t.interval(0.95, 5, 1.1, 0.1 / math.sqrt(3)))
    assert interval(values, None) == pytest.approx(scipy.stats.t.interval(0.95, 2, 1.1, scipy.stats.sem(values)))
    assert interval([1.0], None) is None
    assert interval([], 0.1) is None
    assert around(2.0, 0.0) == (2.0, 2.0)


def test_the_headline_is_the_mean_of_fresh_runs():
    told = headline(CANDIDATE, CHAMPION, 0.001, 20)
    assert told is not None
    assert told.mean == pytest.approx(0.990)
    assert (told.low, told.high) == interval(CANDIDATE, 0.001, 20)
    assert told.gain == pytest.approx(0.004)
    assert told.gain_low < 0.004 < told.gain_high
    assert (told.n, told.m) == (4, 4)


def test_a_headline_without_sigma_pools_its_own_runs():
    told = headline(CANDIDATE, CHAMPION, None)
    pooled = scipy.stats.ttest_ind(CHAMPION, CANDIDATE).confidence_interval()
    assert told is not None
    assert (told.gain_low, told.gain_high) == pytest.approx((pooled.low, pooled.high))
    assert headline([0.99], [0.994], None) is None
    assert headline([], CHAMPION, 0.001) is None
