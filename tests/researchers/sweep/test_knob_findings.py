from __future__ import annotations

from collections.abc import Callable

import pytest

from swarm.records import Briefing, Finding, Idea
from swarm.researchers.sweep.knob_findings import interest, observations, record_of
from swarm.researchers.sweep.tuner import Observation


def test_worths_of_one_knob_share_one_zero(brief: Callable[..., Briefing], learn: Callable[..., Finding]) -> None:
    """0.02 began; 0.03 won 2 sigma and was kept; 0.04 lost 1 sigma to it, and 0.05 crashed."""
    findings = [
        learn(Idea("b", knobs={"lr": 0.03}), 0.04, "keep"),
        learn(Idea("x", knobs={"other": 1.0}), 0.5, "keep"),
        learn(Idea("c", knobs={"lr": 0.04}), -0.02),
        learn(Idea("d", knobs={"lr": 0.05}), None, "crash"),
        learn(Idea("e", knobs={"lr": 0.06}), -9.0),
        learn(Idea("f", knobs={"lr": 0.9}), 9.0, comparable=False),
    ]
    seen = observations("lr", 0.03, brief(reversed(findings), sigma=0.02))
    assert seen == [Observation(v, w) for v, w in ((0.03, 2), (0.04, 1), (0.05, None), (0.06, -4), (0.03, 2))]
    assert observations("lr", 0.03, brief(sigma=None)) == [Observation(0.03, 0.0)]


def test_interest_falls_with_losses_and_rises_with_keeps(
    brief: Callable[..., Briefing], learn: Callable[..., Finding]
) -> None:
    idea = Idea("a", knobs={"lr": 0.03})
    chances = [interest("lr", brief([learn(idea, 0.0, status)])) for status in ("crash", "discard", "?", "keep")]
    assert chances == sorted(chances) and chances[2] == interest("lr", brief()) == 1
    assert interest("lr", brief([learn(idea, -0.1)] * 3)) == pytest.approx(chances[1] ** 3)


def test_the_record_is_given_in_a_sentence(brief: Callable[..., Briefing], learn: Callable[..., Finding]) -> None:
    one, two = learn(Idea("a", knobs={"lr": 0.03}), -0.01), learn(Idea("b", knobs={"lr": 0.01}), 0.002, n=3)
    assert record_of("lr", brief([one])) == "Tried once before; best 0.03 with a gain of -0.0100 (n=1)."
    assert record_of("lr", brief([one, two])) == "Tried 2 times before; best 0.01 with a gain of +0.0020 (n=3)."
    assert record_of("lr", brief()) == ""
