"""Second thoughts about a kept step: when it is a loss, and how rarely one that is not is called so."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.judge.loss import loss

number = st.floats(0.9, 1.1).map(lambda value: round(value, 4))
runs = st.lists(number, min_size=0, max_size=6)


def test_a_step_that_is_clearly_worse_is_a_loss():
    told = loss([1.004, 1.005], [1.0, 1.001], 0.001)
    assert told is not None and round(told.gain, 6) == 0.004 and told.runs == 2 and told.se == 0.001


def test_one_run_a_small_loss_and_unknown_noise_are_none():
    assert loss([1.1], [1.0, 1.0], 0.001) is None
    assert loss([1.0015, 1.0015], [1.0, 1.0], 0.001) is None
    assert loss([1.1, 1.1], [1.0, 1.0], None) is None
    assert loss([1.1, 1.1], [1.0, 1.0], 0.0) is None


def test_a_step_without_effect_is_rarely_called_a_loss_and_a_gain_hardly_ever():
    rng = random.Random(5)

    def share(effect: float) -> float:
        """Of steps with this true gain, in sigmas."""
        found = [loss([rng.gauss(-effect, 1) for _ in "12"], [rng.gauss(0, 1) for _ in "12"], 1.0) for _ in range(4000)]
        return sum(told is not None for told in found) / len(found)

    assert share(0) < 0.035
    assert share(1) < 0.004
    assert share(-3) > 0.8


@settings(deadline=None)
@given(runs, runs, st.sampled_from((0.003, 0.02)), st.floats(0, 0.05))
def test_what_is_a_loss_stays_one_when_it_gets_worse(newer, earlier, sigma, worse):
    if loss(newer, earlier, sigma):
        told = loss([value + worse for value in newer], earlier, sigma)
        assert told and told.gain > 0
        assert loss(earlier, newer, sigma) is None
