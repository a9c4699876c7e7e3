"""Calibration: sigma and the GPUs' offsets come back from simulated runs, and no accident spoils them."""

from __future__ import annotations

import math
import random
import time
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.judge.noise import PRIOR_DF, Noise, Observation, calibrate, pooled

SIGMA = 0.0006


def simulate(states: int, gpus: int, repeats: int, sigma: float = SIGMA, spread: float = 0.5, seed: int = 0):
    """Every state `repeats` times on every GPU; gives the observations and the true offsets, which sum to zero."""
    rng = random.Random(seed)
    offsets = [rng.gauss(0, spread * sigma) for _ in range(gpus)]
    offsets = {f"gpu{i}": offset - fmean(offsets) for i, offset in enumerate(offsets)}
    observations = []
    for state in range(states):
        level = rng.gauss(1, 0.01)
        for gpu, offset in offsets.items():
            for k in range(repeats):
                observations.append(Observation(level + offset + rng.gauss(0, sigma), f"sha{state}", gpu, k))
    return observations, offsets


def test_sigma_is_recovered():
    found = [calibrate(simulate(4, 8, 3, seed=seed)[0], None) for seed in range(20)]
    assert fmean(noise.sigma or 0 for noise in found) == pytest.approx(SIGMA, rel=0.05)
    assert all(noise.sigma == pytest.approx(SIGMA, rel=0.35) for noise in found)
    assert all(40 < noise.df <= 4 * 8 * 2 for noise in found)


def test_offsets_are_recovered_where_there_is_much_data():
    observations, offsets = simulate(20, 8, 2)
    noise = calibrate(observations, SIGMA)
    for gpu, offset in offsets.items():
        assert noise.offsets[gpu] == pytest.approx(offset, abs=0.35 * SIGMA)


def test_correcting_brings_the_gpus_closer():
    error = {"raw": 0.0, "corrected": 0.0}
    for seed in range(30):
        observations, _ = simulate(1, 8, 2, spread=1.0, seed=seed)
        noise = calibrate(observations, SIGMA)
        fresh, offsets = simulate(1, 8, 2, spread=1.0, seed=seed)
        for seen in fresh:
            error["raw"] += offsets[seen.gpu] ** 2
            error["corrected"] += (noise.corrected(seen) - seen.value + offsets[seen.gpu]) ** 2
    assert error["corrected"] < 0.7 * error["raw"]


def test_offsets_are_shrunken_and_more_runs_shrink_them_less():
    def found(repeats: int) -> float:
        pairs = [("gpu0", 1.0 - SIGMA), ("gpu1", 1.0 + SIGMA)]
        seen = [Observation(value, "sha", gpu, k) for gpu, value in pairs for k in range(repeats)]
        return calibrate(seen, SIGMA).offsets["gpu1"]

    for repeats in (1, 2, 8):
        assert found(repeats) == pytest.approx(SIGMA * repeats / (repeats + 4))


def test_offsets_sum_to_zero():
    noise = calibrate(simulate(3, 5, 2)[0], SIGMA)
    assert sum(noise.offsets.values()) == pytest.approx(0, abs=1e-12)


def test_without_repeats_the_prior_stands():
    once = [Observation(1.0, "a", "gpu0", 0), Observation(2.0, "b", "gpu1", 0)]
    assert calibrate(once, SIGMA) == Noise(pytest.approx(SIGMA), PRIOR_DF, {}, SIGMA)
    assert calibrate(once, None) == Noise(None, 0.0, {}, None)
    assert calibrate([], None).sigma is None


def test_one_repeat_is_enough_without_a_prior():
    noise = calibrate([Observation(1.0, "a", "gpu0", 0), Observation(1.2, "a", "gpu0", 1)], None)
    assert noise.sigma == pytest.approx(0.2 / math.sqrt(2))
    assert noise.df == 1


def test_the_prior_counts_as_four_repeats():
    repeats = [Observation(1.0 + 0.002 * k, "a", "gpu0", k) for k in (0, 1)]
    squares = 0.002**2 / 2
    assert calibrate(repeats, SIGMA).sigma == pytest.approx(math.sqrt((4 * SIGMA**2 + squares) / 5))


def test_the_same_seed_twice_is_no_repeat():
    """A deterministic trainer gives the same number again, and would teach that there is no noise."""
    seen, _ = simulate(1, 4, 2)
    assert calibrate(seen + seen, None).sigma == pytest.approx(calibrate(seen, None).sigma)


def test_a_gpu_seen_once_does_not_distort():
    observations, _ = simulate(2, 4, 3)
    before = calibrate(observations, SIGMA)
    after = calibrate([*observations, Observation(1.5, "sha0", "gpu9", 0)], SIGMA)
    assert after.sigma == pytest.approx(before.sigma)
    assert all(abs(after.offsets[gpu] - offset) < SIGMA for gpu, offset in before.offsets.items())
    assert abs(after.offsets["gpu9"]) < 5 * SIGMA


def test_a_gpu_that_shares_no_state_has_no_offset():
    observations, _ = simulate(2, 4, 3)
    alone = Observation(3.0, "own", "gpu9", 0)
    noise = calibrate([*observations, alone], SIGMA)
    assert noise.offsets == calibrate(observations, SIGMA).offsets
    assert noise.corrected(alone) == alone.value


@pytest.mark.parametrize("prior", [None, SIGMA])
def test_one_wild_run_changes_little(prior):
    observations, _ = simulate(1, 8, 2)
    clean = calibrate(observations, prior)
    wild = [Observation(observations[0].value + 40 * SIGMA, "sha0", "gpu0", 0), *observations[1:]]
    noise = calibrate(wild, prior)
    assert noise.sigma == pytest.approx(clean.sigma, rel=0.25)
    assert abs(noise.offsets["gpu0"]) < 1.5 * SIGMA


def test_pooled_is_the_deviation_within_groups():
    assert pooled([[1.0, 3.0], [10.0, 12.0], [5.0]]) == (pytest.approx(math.sqrt(2)), 2)
    assert pooled([[1.0], []]) == (None, 0)


def test_a_long_night_is_calibrated_in_a_moment():
    observations, _ = simulate(60, 8, 2)
    calibrate(observations, SIGMA)
    started = time.process_time()
    calibrate(observations, SIGMA)
    assert time.process_time() - started < 0.5


observations_of = st.lists(
    st.builds(
        Observation,
        value=st.floats(-10, 10).map(lambda value: round(value, 6)),
        state=st.sampled_from("abc"),
        gpu=st.sampled_from(("gpu0", "gpu1", "gpu2", "gpu3")),
        seed=st.integers(0, 4),
    ),
    max_size=25,
)


@given(observations_of, st.sampled_from((None, 0.001, 1.0)), st.randoms(use_true_random=False))
def test_order_does_not_matter(observations, prior, rng):
    shuffled = list(observations)
    rng.shuffle(shuffled)
    first, second = calibrate(observations, prior), calibrate(shuffled, prior)
    assert second.sigma == first.sigma
    assert second.df == first.df
    assert second.offsets == pytest.approx(first.offsets, abs=1e-9)


@given(observations_of, st.sampled_from((None, 0.001, 1.0)), st.floats(-3, 3))
def test_a_constant_on_all_values_changes_nothing(observations, prior, shift):
    moved = [Observation(seen.value + shift, seen.state, seen.gpu, seen.seed) for seen in observations]
    first, second = calibrate(observations, prior), calibrate(moved, prior)
    assert (second.sigma is None) == (first.sigma is None)
    assert (second.sigma or 0) == pytest.approx(first.sigma or 0, rel=1e-6, abs=1e-9)
    assert all(math.isfinite(offset) for offset in first.offsets.values())
