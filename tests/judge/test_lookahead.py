"""What one run of a code cannot show, all of them together do."""

from __future__ import annotations

import random
from statistics import fmean, stdev

import pytest

from swarm.judge.lookahead import Hints, knows, together


def seen(dice: random.Random, hint: float, asked: int = 2048, spread: float = 0.01) -> Hints:
    """What a run's referee says of a code that knows the next token better by `hint` nats, beside rounding."""
    hints = [dice.gauss(hint, spread) for _ in range(asked)]
    return Hints(asked, fmean(hints), stdev(hints), 1e-5)


def test_many_runs_show_a_hint_that_one_does_not() -> None:
    dice = random.Random(1)
    runs = [seen(dice, 0.0009) for _ in range(8)]
    assert [knows([run]) for run in runs] == [""] * 8
    told = knows(runs)
    assert told.startswith("causality: the token that comes next is known better where it is shown, by 0.000")
    assert told.endswith("nats over 16384 places of all runs of this code") and "\n" not in told


def test_rounding_never_adds_up_to_a_hint() -> None:
    dice = random.Random(2)
    for _ in range(200):
        assert knows([seen(dice, 0.0, asked=200, spread=0.05) for _ in range(10)]) == ""


def test_together_is_what_one_run_over_all_places_would_say() -> None:
    dice = random.Random(3)
    parts = [[dice.gauss(0.1 * number, 1.0) for _ in range(50 + number)] for number in range(4)]
    found = together([Hints(len(part), fmean(part), stdev(part), 1e-5) for part in parts])
    whole = [hint for part in parts for hint in part]
    assert found and (found.asked, found.mean) == (len(whole), pytest.approx(fmean(whole)))
    assert found.spread == pytest.approx(stdev(whole), rel=0.02)
    assert together([]) is None and knows([]) == ""


@pytest.mark.parametrize("values", [
    {}, {"asked": 9}, {"asked": 9, "hint": "x", "hint_spread": 1.0, "hint_rounding": 0.0},
    {"asked": 9, "hint": None, "hint_spread": 1.0, "hint_rounding": 0.0},
    {"asked": 0, "hint": 1.0, "hint_spread": 1.0, "hint_rounding": 0.0},
    {"asked": 9, "hint": float("nan"), "hint_spread": 1.0, "hint_rounding": 0.0}])  # fmt: skip
def test_a_referee_that_counts_nothing_of_the_kind_is_no_evidence(values: dict[str, object]) -> None:
    assert Hints.of(values) is None


def test_so_few_places_say_nothing() -> None:
    assert knows([Hints(15, 1.0, 0.0, 0.0)]) == "" and knows([Hints(16, 1.0, 0.0, 0.0)]) != ""
