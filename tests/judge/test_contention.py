"""Runs that were slowed down: told from what is normal on a machine, made again with a cap, and corrected for."""

from __future__ import annotations

import math
import random
from statistics import stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.judge.contention import RERUNS, SHARE, USUAL, affordable, bound, slowed
from swarm.judge.noise import Observation, calibrate


def machine(deviation: float, codes: int, runs: int = 2, seed: int = 1) -> list[list[float]]:
    """The steps of so many codes, each run so often, on a machine whose repeats scatter by that share."""
    chance = random.Random(seed)
    return [[1000 * code * math.exp(deviation * chance.gauss()) for _ in range(runs)] for code in range(1, codes + 1)]


def test_a_hundredth_is_always_normal_and_more_where_repeats_show_it():
    assert bound(machine(0.0005, 8)) == USUAL
    assert 0.09 < bound(machine(0.03, 30), 30) < 0.12 < bound(machine(0.03, 30)), "a budget in CPU time"


def test_while_little_is_known_nobody_is_blamed():
    assert bound([]) == bound([[1000.0]]) == math.inf
    assert bound(machine(0.01, 1)) > 0.3, "one pair of runs says little"


def test_only_a_run_with_fewer_steps_was_slowed():
    assert slowed(980, [1000, 1001, 999], USUAL)
    assert not slowed(995, [1000, 1001, 999], USUAL)
    assert not slowed(1100, [1000], USUAL), "it is the others that were slowed"
    assert not slowed(500, [], USUAL)


@pytest.mark.parametrize("codes", [1, 2, 5, 20])
def test_undisturbed_machines_run_next_to_nothing_again(codes):
    chance, blamed, machines = random.Random(codes), 0, 2000
    for seed in range(machines):
        *repeats, others = machine(0.03, codes + 1, seed=seed)
        steps = 1000 * (codes + 1) * math.exp(0.03 * chance.gauss())
        blamed += slowed(steps, others, bound([*repeats, others], len(others)))
    assert blamed / machines < 0.004


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(0, 100), st.integers(0, 1000))
def test_reruns_have_a_cap_each_and_a_share_of_the_night(reruns, spent, runs):
    if affordable(reruns, spent, runs):
        assert reruns < RERUNS and spent + 1 <= max(1, SHARE * runs + 1)
    assert not affordable(RERUNS, 0, 1000)


def night(slope: float, scatter: float, sigma: float = 0.001, codes: int = 30) -> list[Observation]:
    """Runs of many codes, three each on one of three GPUs, whose steps scatter and whose metric follows them."""
    chance, seen = random.Random(5), []
    for code in range(codes):
        for seed in range(3):
            off = scatter * chance.gauss()
            value = 1 + 0.01 * code + slope * off + sigma * chance.gauss()
            seen.append(Observation(value, f"code {code}", f"gpu{code % 3}", seed, 1000 * (1 + code) * math.exp(off)))
    return seen


def test_the_slope_in_steps_is_found_and_taken_out():
    seen = night(slope=-0.2, scatter=0.02)
    known, blind = calibrate(seen, None), calibrate([Observation(o.value, o.state, o.gpu, o.seed) for o in seen], None)
    assert known.slope == pytest.approx(-0.2, rel=0.1)
    assert known.sigma and blind.sigma
    assert known.sigma == pytest.approx(0.001, rel=0.3) and blind.sigma > 3 * known.sigma
    one = [known.corrected(o) for o in seen if o.state == "code 3"]
    assert stdev(one) < stdev([o.value for o in seen if o.state == "code 3"])


def test_where_steps_do_not_matter_or_hardly_vary_nothing_is_corrected():
    for seen in (night(slope=0.0, scatter=0.02), night(slope=-0.2, scatter=1e-5), night(slope=0.2, scatter=0.02)):
        known = calibrate(seen, None)
        assert known.slope == 0.0
        assert [known.steady(o) for o in seen] == [o.value for o in seen]


def test_code_that_makes_fewer_steps_gains_nothing_by_it():
    """The correction is within runs of one code: its usual number of steps is its own."""
    seen = night(slope=-0.2, scatter=0.02)
    known = calibrate(seen, None)
    plain = Observation(1.0, "code 3", "gpu0", 9, math.exp(known.usual["code 3"]))
    assert known.steady(plain) == pytest.approx(1.0)
    assert known.steady(Observation(1.0, "never repeated", "gpu0", 9, 10.0)) == 1.0
