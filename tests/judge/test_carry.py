"""The rule of carry: one run decides what the trunk takes, with noise, without it, and while none is known.

python -m pytest tests/judge/test_carry.py
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.judge.carry import by_belief, carry
from swarm.judge.decide import Evidence, decide, read_policy
from swarm.judge.effects import Effect, Effects, Seen
from swarm.judge.race import STANDARD, Arm
from swarm.judge.trunk_levels import Belief
from swarm.records import Outcome, Rung, Status

POLICY = read_policy("carry")


def belief(mean: float, real: float = 0.3, x: float = 1.0, sigma: float = 0.001) -> Belief:
    return Belief(sigma, Seen(x, 1.1), Effect(mean, 0.5, real, 0.0, 0.0))


@pytest.mark.parametrize(
    ("mean", "real", "added", "status", "rung"),
    [
        (0.11, 0.3, 0, Status.KEEP, Rung.CARRIED),
        (0.11, 0.5, 0, Status.KEEP, Rung.KEPT),
        (0.09, 0.5, 0, Status.DISCARD, Rung.SEEN),
        (0.11, 0.5, 100, Status.DISCARD, Rung.SEEN),  # the toll for added code: a quarter of a sigma
        (0.36, 0.5, 100, Status.KEEP, Rung.KEPT),
        (-0.4, 0.1, -50, Status.KEEP, Rung.CARRIED),  # simpler, and hardly worse
        (-0.6, 0.1, -50, Status.DISCARD, Rung.SEEN),
        (-0.4, 0.1, -5, Status.DISCARD, Rung.SEEN),
    ],
)
def test_a_gain_to_be_expected_is_carried_after_one_run(mean, real, added, status, rung) -> None:
    verdict = by_belief(belief(mean, real), 1, STANDARD, added)
    assert (verdict.status, verdict.rung, verdict.n, verdict.refresh) == (status, rung, 1, False)
    assert verdict.real == (real if status is Status.KEEP else None)
    assert (verdict.gain, verdict.se) == (pytest.approx(0.001), pytest.approx(0.0011)), "the gain is as it was seen"


def test_an_outlier_runs_three_times() -> None:
    large = belief(11.0, 1.0, x=11.5)
    assert [by_belief(large, runs).status for runs in (1, 2, 3)] == [None, None, Status.KEEP]


def test_what_all_runs_say_outweighs_the_runs_at_hand() -> None:
    arms = [Arm((0.995,), (1.0, 1.0))]
    assert decide(Evidence(arms, 0.001), POLICY).status is Status.KEEP
    lost = decide(Evidence(arms, 0.001, belief=belief(-0.2)), POLICY)
    assert lost.status is Status.DISCARD and lost.outcome is Outcome.NO_GAIN


def test_what_outweighs_every_rule_outweighs_this_one() -> None:
    known = Evidence([Arm((0.997,), (1.0, 1.0))], 0.001, belief=belief(2.0, 0.9, x=3.0))
    assert decide(known, POLICY).status is Status.KEEP
    moved = decide(Evidence(known.arms, 0.001, belief=known.belief, trunk_moved=True), POLICY)
    assert (moved.status, moved.outcome) == (None, Outcome.UNDECIDED)
    broken = decide(Evidence(known.arms, 0.001, belief=known.belief, broken_guard="guard: x"), POLICY)
    assert broken.outcome is Outcome.BROKE_GUARD
    incredible = Evidence([Arm((0.5,) * 3, (1.0,) * 4)], 0.001, belief=belief(499.0, 1.0, x=500.0))
    assert decide(incredible, POLICY).outcome is Outcome.HELD


@pytest.mark.parametrize(("level", "gain"), [(1.0, 0.01), (0.0, 0.01), (-70.0, 0.5)])  # also a baseline of 0
def test_without_noise_one_run_is_the_truth(level: float, gain: float) -> None:
    better, same, worse = (carry([Arm((level - by,), (level, level))], 0.0) for by in (gain, 0.0, -gain))
    assert (better.status, better.rung, better.real) == (Status.KEEP, Rung.KEPT, None)
    assert (same.status, worse.status) == (Status.DISCARD, Status.DISCARD)


def test_while_no_noise_is_known_the_parent_runs_once_more() -> None:
    first = carry([Arm((0.9,), (1.0,))], None)
    assert (first.status, first.refresh) == (None, True)
    assert carry([Arm((0.9,), (1.0, 1.0))], 0.0).status is Status.KEEP, "two equal runs: no noise"


def test_two_equal_runs_and_a_sigma_are_no_gain() -> None:
    verdict = carry([Arm((1.0,), (1.0,))], 0.01)
    assert (verdict.status, verdict.gain) == (Status.DISCARD, 0.0)


@given(st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.integers(1, 4), st.integers(-200, 200))
def test_every_verdict_is_finite_and_one_line(x: float, s: float, runs: int, added: int) -> None:
    seen = Seen(x, s)
    verdict = by_belief(Belief(1e-9, seen, Effects().of(seen)), runs, STANDARD, added)
    assert verdict.gain is not None and math.isfinite(verdict.gain) and "\n" not in verdict.reason
    assert not {"nan", "inf", "None"} & set(verdict.reason.replace(",", " ").split())
