"""The rule where equal code gives equal numbers, and that a sigma or a baseline of zero is no trap for any rule.

python -m pytest tests/judge/test_exact.py
"""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swarm.judge.closing import headline
from swarm.judge.comparison import compare
from swarm.judge.confirm import confirm, deserves_confirmation, shrunken
from swarm.judge.decide import POLICIES, Evidence, decide, fallback_of, read_policy
from swarm.judge.exact import exact, is_repeated
from swarm.judge.noise import NOISELESS, Observation, calibrate, pooled
from swarm.judge.race import STANDARD, Arm, race
from swarm.judge.rounding import EPSILON, gain_over, same
from swarm.records import Outcome, Rung, Status

EXACT, RACE = read_policy("exact"), read_policy("race")
numbers = st.floats(-1e9, 1e9, allow_subnormal=False)
sizes = st.integers(-500, 500)


def is_rounding(one: float, other: float) -> bool:
    """Whether two numbers are equal but for rounding, told in another way than the judge does."""
    return one == other or abs(one - other) <= 1e-12 * max(abs(one), abs(other))


# -- the rule ------------------------------------------------------------------------------------------------------


@given(numbers, numbers, sizes)
def test_one_run_decides_always(candidate: float, parent: float, added: int) -> None:
    verdict = exact([Arm((candidate,), (parent,))], 0.0, STANDARD, added)
    simpler = added <= -STANDARD.simpler_size
    if is_rounding(candidate, parent):
        wanted = Outcome.SIMPLER if simpler else Outcome.NO_GAIN
    else:
        wanted = Outcome.GAINED if candidate < parent else Outcome.NO_GAIN
    assert (verdict.outcome, verdict.n, verdict.se) == (wanted, 1, 0.0)
    assert (verdict.rung is Rung.KEPT) == (verdict.status is Status.KEEP)
    assert not verdict.refresh


@given(st.lists(numbers, min_size=2, max_size=30))
def test_what_is_kept_one_after_another_only_ever_gets_better(numbers: list[float]) -> None:
    """However noisy the runs of different edits look: the trunk is their running minimum."""
    tip = numbers[0]
    for number in numbers[1:]:
        if exact([Arm((number,), (tip,))], 0.0).status is Status.KEEP:
            assert number < tip
            tip = number
    assert is_rounding(tip, min(numbers)) or tip == pytest.approx(min(numbers), rel=1e-10)


@given(numbers, numbers, sizes, st.one_of(st.none(), st.floats(0, 1e6)))
def test_sigma_says_nothing(candidate: float, parent: float, added: int, sigma: float | None) -> None:
    arms = [Arm((candidate,), (parent,))]
    assert exact(arms, sigma, STANDARD, added) == exact(arms, 0.0, STANDARD, added)


@pytest.mark.parametrize("gain", [1e-9, 1e-11, 1e-6, 0.5])
def test_a_gain_of_any_size_is_a_gain_and_added_code_pays_nothing(gain: float) -> None:
    assert exact([Arm((1.0 - gain,), (1.0,))], 0.0, STANDARD, 400).outcome is Outcome.GAINED


def test_a_gain_over_zero_is_a_gain_however_small() -> None:
    for gain in (1e-300, 1e-12, 0.01, 1.0):
        assert exact([Arm((-gain,), (0.0,))], 0.0).outcome is Outcome.GAINED


def test_rounding_is_no_gain() -> None:
    third = sum([0.1] * 3) / 3  # 0.10000000000000002
    assert third != 0.1
    assert exact([Arm((0.1,), (third,))], 0.0).outcome is Outcome.NO_GAIN
    assert exact([Arm((1 - EPSILON / 2,), (1.0,))], 0.0).outcome is Outcome.NO_GAIN
    assert exact([Arm((1 - 2 * EPSILON,), (1.0,))], 0.0).outcome is Outcome.GAINED


def test_the_newest_parent_counts_and_what_is_missing_is_waited_for() -> None:
    assert exact([Arm((0.9,), (1.0,)), Arm((0.9,), (0.8,))], 0.0).outcome is Outcome.NO_GAIN
    for arms in ([], [Arm((0.9,), ())], [Arm((), (1.0,))]):
        assert exact(arms, 0.0).outcome is Outcome.UNDECIDED


def test_what_outweighs_every_rule_outweighs_this_one() -> None:
    better = Evidence([Arm((0.1,), (1.0,))], 0.0, unaudited=True)
    assert decide(better, EXACT).outcome is Outcome.GAINED, "a number that comes out the same again is believed"
    assert decide(Evidence(better.arms, 0.0, broken_guard="guard: x"), EXACT).outcome is Outcome.BROKE_GUARD
    assert decide(Evidence(better.arms, 0.0, trunk_moved=True), EXACT).outcome is Outcome.UNDECIDED


def test_what_goes_with_it() -> None:
    assert not any((EXACT.confirms, EXACT.fills, EXACT.rolls_back))
    assert (EXACT.baseline_runs, EXACT.closing_runs, EXACT.noiseless) == (1, (1, 1), True)
    assert [name for name, policy in POLICIES.items() if policy.noiseless] == ["exact"]
    assert fallback_of("exact") == "carry" and fallback_of("exact:simpler_size=20") == "carry:simpler_size=20"
    assert read_policy(fallback_of("exact:simpler_size=20")).rules.simpler_size == 20


@given(st.lists(numbers, min_size=1, max_size=5))
def test_a_repeat_that_differs_is_seen(values: list[float]) -> None:
    assert is_repeated(values * 2) == all(same(value, values[0]) for value in values)
    assert is_repeated([values[0]] * 3)


@given(numbers, numbers)
def test_a_gain_is_none_or_what_it_is(parent: float, candidate: float) -> None:
    gain = gain_over(parent, candidate)
    assert gain == -gain_over(candidate, parent)
    assert gain == (0.0 if is_rounding(parent, candidate) else parent - candidate)


# -- zeros in the other rules --------------------------------------------------------------------------------------


def test_race_keeps_a_gain_over_zero_where_all_repeats_are_equal() -> None:
    """Accuracy on a tiny set: every repeat of the untouched code gives the same 0.00."""
    found = Evidence([Arm((-0.02, -0.02), (0.0,) * 4)], 0.0, unaudited=True)
    assert decide(found, RACE).outcome is Outcome.GAINED
    noisy = Evidence([Arm((-0.2, -0.21, -0.2), (0.0,) * 4)], 0.001, unaudited=True)
    assert decide(noisy, RACE).outcome is Outcome.LARGE, "two hundred sigmas are worth a look, and kept"


@pytest.mark.parametrize("runs", [1, 2, 3, 5])
def test_race_never_keeps_rounding(runs: int) -> None:
    third = sum([0.1] * 3) / 3
    verdict = race([Arm((0.1,) * runs, (third,) * 3)], 0.0)
    assert (verdict.status, verdict.gain) == (Status.DISCARD, 0.0)


def test_race_keeps_simpler_code_of_the_same_number() -> None:
    def after(runs: int, value: float = 1.0, sigma: float | None = 0.0) -> Outcome:
        return race([Arm((value,) * runs, (1.0,) * 6)], sigma, STANDARD, -50).outcome

    assert after(1) is Outcome.UNDECIDED, "no worse so far: it is repeated"
    assert after(STANDARD.simpler_runs) is Outcome.SIMPLER
    assert after(STANDARD.simpler_runs, sigma=None) is Outcome.SIMPLER
    assert after(1, 1.001) is Outcome.NO_GAIN


def test_equal_repeats_have_no_spread_at_all() -> None:
    value = 0.1 + 0.2
    assert pooled([[value] * 3, [value / 7] * 3]) == (0.0, 4.0)
    known = calibrate([Observation(value, "base", f"gpu{k % 2}", k) for k in range(8)], None)
    assert (known.sigma, dict(known.offsets)) == (0.0, {})


def test_where_most_repeats_are_equal_the_others_still_tell_of_noise() -> None:
    """The median spread is 0 there, and nothing is wild beside it."""
    equal = [Observation(0.5, f"code {code}", "gpu0", seed) for code in range(8) for seed in (1, 2)]
    differing = [Observation(0.5 + 0.1 * seed, "another", "gpu0", seed) for seed in (1, 2)]
    sigma = calibrate([*equal, *differing], None).sigma
    assert sigma == pytest.approx(math.sqrt(0.005 / 9))


@settings(deadline=None)  # the first one loads scipy
@given(numbers, numbers, st.integers(2, 8))
def test_nothing_divides_by_no_noise(ours: float, theirs: float, runs: int) -> None:
    assume(not is_rounding(ours, theirs))
    found = confirm([ours] * runs, [theirs] * runs, 0.0)
    assert found.p == (0.0 if ours < theirs else 1.0)
    closed = headline([ours], [theirs], NOISELESS.sigma, NOISELESS.df)
    assert closed and (closed.gain, closed.gain_low, closed.gain_high) == (theirs - ours,) * 3
    assert (closed.mean, closed.low, closed.high) == (ours,) * 3
    assert compare([ours] * runs, [theirs] * runs).outcome == ("better" if ours < theirs else "worse")
    assert deserves_confirmation(theirs - ours, 0.0, 0.0) == (ours < theirs)


def test_equal_arms_confirm_nothing() -> None:
    third = sum([0.1] * 3) / 3
    assert confirm([0.1] * 4, [third] * 4, 0.0).p == 0.5
    assert compare([0.1] * 4, [third] * 4).outcome == "inconclusive"
    assert shrunken(0.0, 0.0, 0.0) == 0.0 and shrunken(1.0, 0.5, 0.0) == 0.0
