"""Whether the same code measures otherwise at the end than at the beginning."""

from __future__ import annotations

import random

import pytest

from swarm.judge.drift import drift


@pytest.mark.parametrize(("late", "way"), [((0.997, 0.9975), 1), ((1.003, 1.0025), -1)])
def test_a_change_beyond_two_standard_errors_is_seen_with_its_direction(late: tuple[float, ...], way: int) -> None:
    found = drift((1.0, 1.0005), late, 0.001)
    assert found and found.change * way > 0.002 and found.errors * way > 2


@pytest.mark.parametrize(
    ("early", "late", "sigma"),
    [((1.0, 1.0), (1.001, 1.001), 0.001), ((1.0,), (2.0, 2.0), 0.001), ((1.0, 1.0), (2.0, 2.0), None), ((), (), 0.0)],
)
def test_what_may_be_noise_or_cannot_be_known_is_not_told(early, late, sigma) -> None:
    assert drift(early, late, sigma) is None


def test_by_chance_one_swarm_in_twenty_shows_it() -> None:
    chance = random.Random(1)
    runs = lambda: [chance.gauss() for _ in range(4)]  # noqa: E731
    assert 0.03 < sum(drift(runs(), runs(), 1.0) is not None for _ in range(2000)) / 2000 < 0.07
