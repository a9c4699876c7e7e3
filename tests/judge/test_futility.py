"""Hopeless runs on synthetic curves: hardly a winner would be lost, and where curves say nothing, nothing is ended."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from swarm.judge.futility import CURVES, Paired, in_tenths, limits, look_back, touches_time

SIGMA = 0.001


def curves(count: int, seed: int, told: float = 1.0, blur: float = 0.5) -> list[Paired]:
    """Runs of a swarm in which a tenth gains. The lag shows a share `told` of the effect half way, blurred by `blur`
    sigmas; what is measured has its noise of one sigma on each side."""
    chance, made = random.Random(seed), []
    for _ in range(count):
        kind = chance.random()
        effect = chance.expovariate(1 / (2.5 * SIGMA)) if kind < 0.1 else 0.2 * SIGMA * chance.gauss()
        if kind > 0.5:
            effect = -chance.expovariate(1 / (7 * SIGMA))
        gain = effect + SIGMA * (chance.gauss() - chance.gauss())
        parent = tuple(4.0 - tenth / 10 for tenth in range(10))
        own = tuple(
            loss - told * effect * min(1.0, 0.3 + tenth / 8) + blur * SIGMA * chance.gauss()
            for tenth, loss in enumerate(parent)
        )
        made.append(Paired(own, parent, gain, gain > SIGMA and effect > 0))
    return made


def test_hardly_a_winner_is_lost_and_much_time_is_saved() -> None:
    seen = [look_back(curves(60, seed)) for seed in range(20)]
    winners, missed = (sum(getattr(one, name) for one in seen) for name in ("winners", "missed"))
    print(f"{missed} of {winners} winners lost, {sum(one.saved for one in seen) / len(seen):.0%} of the time saved")
    assert winners > 60 and missed < 0.01 * winners
    assert all(one.saved > 0.05 for one in seen) and sum(one.saved for one in seen) / len(seen) > 0.1
    assert sum(one.allowed for one in seen) > 15


@pytest.mark.parametrize("told, blur", [(0.0, 0.5), (1.0, 20.0)])
def test_curves_that_say_nothing_end_hardly_anything(told: float, blur: float) -> None:
    seen = [look_back(curves(60, seed, told, blur)) for seed in range(10)]
    assert sum(one.ended for one in seen) < 0.03 * 600


def test_few_curves_or_no_winner_allow_nothing() -> None:
    runs = curves(60, 1)
    assert not look_back(runs[:CURVES]).allowed, "none of them was judged: the others are too few to learn from"
    assert limits(runs[:19]) is None and not look_back(runs[:15]).allowed
    assert not look_back([replace(run, won=False) for run in runs]).allowed


def test_curves_that_mislead_about_winners_are_not_allowed() -> None:
    """Winners that begin as the worst losers do: ending them would be worse than training all."""
    runs = [replace(run, own=tuple(loss + 1 for loss in run.own)) if run.won else run for run in curves(200, 2)]
    assert look_back(runs).missed > 0 and not look_back(runs).allowed


@pytest.mark.parametrize(
    "line", ["+LR = 0.02", "-WARMDOWN = 0.5", "+batch_size = 32", "+torch.manual_seed(3)", "+    if step > 100:"]
)
def test_edits_about_time_are_left_out(line: str) -> None:
    assert touches_time(f"--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n{line}\n unchanged = 1")
    assert not touches_time("--- a/train.py\n+++ b/train.py\n+x = norm(x)\n lr = 0.1")


def test_a_curve_with_a_hole_is_none() -> None:
    whole = [(float(second), 1.0) for second in range(1, 11)]
    assert in_tenths(whole) == (1.0,) * 10 and in_tenths(whole[1:]) is None
