from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from swarm.records import Briefing, Finding, Idea, Rung
from swarm.researchers.sweep.knob_findings import KnobFindings
from swarm.researchers.sweep.tuner import Observation

Brief = Callable[..., Briefing]
Learn = Callable[..., Finding]


def knowing(briefing: Briefing, **knobs: float) -> KnobFindings:
    findings = KnobFindings()
    findings.learn(briefing, knobs)
    return findings


def test_worths_share_one_zero_and_settings_are_whole(brief: Brief, learn: Learn) -> None:
    """0.02 began; 0.03 won 2 sigma and was kept; 0.04 lost 1 sigma to it, and 0.05 crashed."""
    found = KnobFindings()
    found.learn(brief(sigma=0.02), {"lr": 0.02, "wd": 1.0})
    findings = [
        learn(Idea("b", knobs={"lr": 0.03}), 0.04, "keep"),
        learn(Idea("c", knobs={"lr": 0.04}), -0.02, position=1),
        learn(Idea("d", knobs={"lr": 0.05}), None, "crash", position=1),
        learn(Idea("e", knobs={"lr": 0.06, "wd": 2.0}), -9.0, position=1),
        learn(Idea("f", knobs={"lr": 0.9}), 9.0, comparable=False),
    ]
    live = [("gpu1", Idea("g", knobs={"lr": 0.07}))]
    briefing = brief(list(reversed(findings)), live, sigma=0.02, position=1)
    found.learn(briefing, {"lr": 0.03, "wd": 1.0})
    measured = [({"lr": 0.03, "wd": 1.0}, 2), ({"lr": 0.04, "wd": 1.0}, 1), ({"lr": 0.05, "wd": 1.0}, None)]
    trunk = [({"lr": 0.02, "wd": 1.0}, 0), ({"lr": 0.03, "wd": 1.0}, 2)]
    seen = [*measured, ({"lr": 0.06, "wd": 2.0}, -4), *trunk, ({"lr": 0.07, "wd": 1.0}, None)]
    assert found.observations(["lr"], briefing) == [Observation(setting, worth) for setting, worth in seen]


def test_what_a_briefing_is_too_short_for_is_not_forgotten(brief: Brief, learn: Learn) -> None:
    findings = KnobFindings()
    idea = Idea("a", knobs={"lr": 0.03})
    findings.learn(brief([learn(idea, -0.1)]), {"lr": 0.02})
    findings.learn(brief([learn(Idea("b", knobs={"wd": 1.0}), -0.1)]), {"lr": 0.02})
    assert findings.is_known(idea, {"lr": 0.02}) and len(findings.about("lr")) == 1


def test_what_hardly_differs_or_makes_the_same_code_is_known(brief: Brief, learn: Learn) -> None:
    knobs = {"lr": 0.02, "wd": 1.0, "depth": 8}
    found = knowing(brief([learn(Idea("a", knobs={"lr": 0.03, "wd": 2.0}), -0.1)]), **knobs)
    for values, known in (
        ({"wd": 2.02, "lr": 0.0301}, True),
        ({"lr": 0.033, "wd": 2.0}, False),
        ({"lr": 0.03}, False),
        ({"lr": 0.02}, True),  # the code as it is
    ):
        assert found.is_known(Idea("t", knobs=values), knobs) is known
    assert found.is_known(Idea("t", knobs={"wd": 2.0}), {**knobs, "lr": 0.03})  # the same two, in another order


def test_a_step_that_was_taken_back_counts_no_more(brief: Brief, learn: Learn) -> None:
    kept = learn(Idea("a", knobs={"lr": 0.03}), 0.04, "keep")
    findings = knowing(brief([kept]), lr=0.02)
    assert findings.kept == [kept]
    findings.learn(brief([replace(kept, rung=Rung.UNDONE)]), {"lr": 0.02})
    assert findings.kept == [] and findings.about("lr")[0].rung == Rung.UNDONE


def test_the_longer_nothing_is_kept_the_bolder(brief: Brief, learn: Learn) -> None:
    lost = [learn(Idea(str(n)), -0.1) for n in range(450)]
    assert [knowing(brief(lost[:n])).boldness for n in (0, 99, 100, 450)] == [0, 0, 1, 3]
    assert knowing(brief([learn(Idea("won"), 0.1, "keep"), *lost])).boldness == 0


def test_interest_falls_with_losses_and_rises_with_keeps(brief: Brief, learn: Learn) -> None:
    idea = Idea("a", knobs={"lr": 0.03})
    chances = [
        knowing(brief([learn(idea, 0.0, status)])).interest("lr") for status in ("crash", "discard", "?", "keep")
    ]
    assert chances == sorted(chances) and chances[2] == knowing(brief()).interest("lr") == 1
    three = [learn(idea, -0.1) for _ in range(3)]
    assert knowing(brief(three)).interest("lr") == pytest.approx(chances[1] ** 3)


def test_the_record_is_given_in_a_sentence(brief: Brief, learn: Learn) -> None:
    one, two = learn(Idea("a", knobs={"lr": 0.03}), -0.01), learn(Idea("b", knobs={"lr": 0.01}), 0.002, n=3)
    assert knowing(brief([one])).record_of("lr") == "Tried once before; best 0.03 with a gain of -0.0100 (n=1)."
    best = "Tried 2 times before; best 0.01 with a gain of +0.0020 (n=3)."
    assert knowing(brief([one, two])).record_of("lr") == best
    assert knowing(brief()).record_of("lr") == ""
