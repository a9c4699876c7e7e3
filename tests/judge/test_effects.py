"""What a noisy number says of an edit: held against plain numerical integration, far tails included."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.judge.effects import GAINS, LOSSES, NOTHING, Effects, Seen

Density = Callable[[float], float]


def prior_parts() -> list[tuple[Density, float, float]]:
    """The density of each part and where it lies."""

    def exponential(size: float) -> Density:
        return lambda e: math.exp(-e / size) / size

    normal = [(lambda e: math.exp(-0.5 * (e / NOTHING) ** 2) / NOTHING / math.sqrt(2 * math.pi), -2.0, 2.0)]

    def mirrored(density: Density) -> Density:
        return lambda e: density(-e)

    losses = [(mirrored(exponential(size)), -40 * size, 0.0) for size in LOSSES]
    gains = [(exponential(size), 0.0, 40 * size) for size in GAINS]
    return [*normal, *losses, *gains]


def integrated(effects: Effects, seen: Seen) -> tuple[float, float, float]:
    """Mean, variance and chance of a gain by Simpson's rule, scaled so that nothing underflows."""
    moments = []
    peak = None
    for share, (density, low, high) in zip(effects.shares, prior_parts(), strict=True):
        low, high = max(low, seen.x - 14 * seen.s), min(high, seen.x + 14 * seen.s)
        if low >= high:  # the likelihood lies beside this part: its edge is what is left
            low, high = (low, low + seen.s) if seen.x < low else (high - seen.s, high)
        steps = 4000
        grid = [low + (high - low) * place / steps for place in range(steps + 1)]
        logs = [math.log(max(density(e), 1e-300)) - 0.5 * ((seen.x - e) / seen.s) ** 2 + math.log(share) for e in grid]
        moments.append((grid, logs))
        peak = max(logs) if peak is None else max(peak, *logs)
    totals = []
    for grid, logs in moments:
        width = grid[1] - grid[0]
        weights = [1, *([4, 2] * ((len(grid) - 3) // 2)), 4, 1]
        values = [w * math.exp(log - (peak or 0.0)) * width / 3 for w, log in zip(weights, logs, strict=True)]
        totals.append([math.fsum(v * e**power for v, e in zip(values, grid, strict=True)) for power in (0, 1, 2)])
    whole, first, second = (math.fsum(total[power] for total in totals) for power in (0, 1, 2))
    real = math.fsum(total[0] for total in totals[-len(GAINS) :]) / whole
    return first / whole, second / whole - (first / whole) ** 2, real


@pytest.mark.parametrize("s", [0.3, 0.8, 1.0, 1.4, 3.0])
@pytest.mark.parametrize("x", [-12.0, -3.0, -0.4, 0.0, 0.5, 1.0, 2.0, 3.5, 9.0])
def test_the_posterior_is_what_integration_says(x: float, s: float) -> None:
    mean, variance, real = integrated(Effects(), Seen(x, s))
    found = Effects().of(Seen(x, s))
    assert found.mean == pytest.approx(mean, rel=2e-3, abs=2e-3)
    assert found.variance == pytest.approx(variance, rel=5e-3, abs=2e-3)
    assert found.real == pytest.approx(real, abs=2e-3)


@given(st.floats(-1e4, 1e4), st.floats(0.05, 50.0))
def test_nothing_over_or_underflows(x: float, s: float) -> None:
    found = Effects().of(Seen(x, s))
    for value in (found.mean, found.variance, found.score, found.curve):
        assert math.isfinite(value)
    assert 0.0 <= found.real <= 1.0 and found.variance > 0.0
    assert (found.mean <= x + 1e-6) if x > 40 * s else True  # a great gain is never believed to be greater


@given(st.floats(-30, 30), st.floats(0.2, 5.0))
def test_a_better_number_never_makes_a_gain_less_likely(x: float, s: float) -> None:
    lower, higher = Effects().of(Seen(x, s)), Effects().of(Seen(x + 0.1, s))
    assert higher.mean >= lower.mean - 1e-9
    assert higher.real >= lower.real - 1e-6


def test_a_number_within_the_noise_is_mostly_nothing_and_a_great_one_is_real() -> None:
    assert Effects().of(Seen(0.5, 1.4)).real < 0.3
    assert Effects().of(Seen(6.0, 1.4)).real > 0.9
    assert Effects().of(Seen(-6.0, 1.4)).mean < -3


def test_shares_are_learned_from_what_was_seen() -> None:
    harmful = Effects()
    for _ in range(30):
        harmful = harmful.learned([Seen(-8.0, 1.2)] * 200)
    assert math.fsum(harmful.shares) == pytest.approx(1.0)
    assert math.fsum(harmful.shares[1 : 1 + len(LOSSES)]) > 0.85
    assert harmful.of(Seen(1.5, 1.2)).real < Effects().of(Seen(1.5, 1.2)).real
    assert Effects().learned([]).shares == pytest.approx(Effects().shares)
