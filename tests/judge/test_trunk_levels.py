"""The trunk's levels as a fold over what happened: the same events give the same numbers, however they come.

python -m pytest tests/judge/test_trunk_levels.py
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from swarm.judge import effects
from swarm.judge.noise import Observation
from swarm.judge.trunk_levels import Event, Measured, Stepped, TrunkLevels

SIGMA = 0.001


def run(value: float, state: str, parent: str = "", idea: str = "", gpu: str = "gpu0", seed: int = 1) -> Measured:
    return Measured(Observation(value, state, gpu, seed), parent, idea)


def baseline(*values: float) -> list[Event]:
    return [run(value, "base", seed=seed) for seed, value in enumerate(values)]


def told(happened: list[Event], prior: float | None = SIGMA, **more) -> TrunkLevels:
    levels = TrunkLevels("base", prior, **more)
    for event in happened:
        levels.add(event)
    return levels


def swarm_of(ideas: int, chance: random.Random, repeats: float = 0.0, steps: float = 0.05) -> list[Event]:
    """A swarm of two GPUs: ideas, some of which step, and repeats of states."""
    happened: list[Event] = baseline(*(1.0 + SIGMA * chance.gauss() for _ in range(4)))
    tip, level, levels = "base", 1.0, {"base": 1.0}
    for number in range(ideas):
        gain, gpu = chance.gauss(-0.5, 2) * SIGMA, f"gpu{number % 2}"
        source = f"state {number}"
        measured = level - gain + SIGMA * chance.gauss() + (0.4 * SIGMA if gpu == "gpu1" else 0.0)
        happened.append(run(measured, source, tip, f"idea {number}", gpu))
        if chance.random() < steps:
            happened.append(Stepped(source, f"idea {number}"))
            tip, level = source, level - gain
            levels[tip] = level
        if chance.random() < repeats:
            again = chance.choice(list(levels))
            happened.append(run(levels[again] + SIGMA * chance.gauss(), again, gpu=gpu, seed=number))
    return happened


def numbers(levels: TrunkLevels) -> list[float]:
    """Everything that is believed, to the last bit."""
    known = [levels.belief(step.idea) for step in levels.line()]
    return [number for one in known if one for number in (one.seen.x, one.seen.s, one.effect.mean, one.effect.real)]


@pytest.mark.parametrize("prior", [SIGMA, 1.6 * SIGMA, None])
def test_at_any_moment_a_resumed_swarm_knows_what_one_that_never_stopped_knows(prior: float | None) -> None:
    happened = swarm_of(120, random.Random(4), repeats=0.3)
    going, moved = TrunkLevels("base", prior), set()
    for count, event in enumerate(happened, 1):
        going.add(event)
        moved.add(going.noise.sigma)
        if count % 11 == 0:
            resumed = told(happened[:count], prior)
            assert numbers(going) == numbers(resumed) and going.noise == resumed.noise
    assert numbers(going) and len(moved) > 1, "the noise was learned on the way"


def test_a_step_that_later_runs_do_not_bear_out_is_undone_and_never_below_the_champion() -> None:
    happened = [
        *baseline(1.0, 1.0, 1.0, 1.0),
        run(0.997, "a", "base", "lucky"), Stepped("a", "lucky"),
        *(run(1.001, "a", seed=seed) for seed in range(3)),
    ]  # fmt: skip
    levels = told(happened)
    assert levels.losing("base") == "base"
    assert levels.losing("a") is None
    levels.add(Stepped("base"))  # it went back
    assert levels.tip == "base" and levels.line() == [] and levels.losing("base") is None


def test_a_simpler_step_may_lose_a_little() -> None:
    happened = [*baseline(1.0, 1.0, 1.0, 1.0), run(1.0002, "a", "base", "simpler")]
    again = [run(1.0003, "a", seed=seed) for seed in range(4)]
    assert told([*happened, Stepped("a", "simpler", -0.5), *again]).losing("base") is None
    assert told([*happened, Stepped("a", "simpler"), *again]).losing("base") == "base"


def test_what_was_false_says_nothing() -> None:
    honest = [*baseline(1.0, 1.0, 1.0, 1.0), run(0.998, "a", "base", "real"), Stepped("a", "real")]
    cheat = [run(0.9, "b", "a", "cheat"), Stepped("b", "cheat"), run(0.9, "c", "b", "on top"), Stepped("a")]
    after = [run(0.9985, "d", "a", "later")]
    known = told([*honest, *cheat, *after], excluded=frozenset({"b"}))
    assert known.belief("cheat") is None and known.belief("on top") is None
    assert known.belief("real") == told([*honest, *after]).belief("real")


def test_a_metric_without_noise_has_no_levels_until_a_repeat_differs() -> None:
    happened = [*baseline(1.0, 1.0), run(0.9, "a", "base", "better"), Stepped("a", "better")]
    quiet = told(happened, None)
    assert quiet.noise.sigma == 0 and quiet.belief("better") is None and quiet.losing("base") is None
    quiet.add(run(0.95, "a", seed=2))
    assert quiet.noise.sigma and quiet.belief("better") is not None


def test_a_metric_that_drifts_makes_later_steps_look_real() -> None:
    """What the judge cannot know: it has no clock. The report's check at the end is what finds this."""
    chance, drift, happened = random.Random(1), 0.0, baseline(1.0, 1.001, 0.999, 1.0)
    tip = "base"
    levels = told(happened)
    for number in range(80):
        drift -= 0.05 * SIGMA
        levels.add(run(1.0 + drift + SIGMA * chance.gauss(), source := f"s{number}", tip, f"i{number}"))
        known = levels.belief(f"i{number}")
        if known and known.effect.mean > 0.1:
            levels.add(Stepped(source, f"i{number}"))
            tip = source
    level = levels.level(tip)
    assert level and level.mean < 1.0 - SIGMA, "it follows the numbers, which no edit made better"


def test_a_run_takes_the_same_work_after_ten_thousand_ideas_and_five_hundred_steps(monkeypatch) -> None:
    looks = Counter()
    real = effects._densities

    def counted(seen):
        looks["effects"] += 1
        return real(seen)

    monkeypatch.setattr(effects, "_densities", counted)
    levels, most = TrunkLevels("base", SIGMA), 0
    happened = swarm_of(10_000, random.Random(7), steps=0.05)
    for event in happened:
        looks.clear()
        levels.add(event)
        most = max(most, looks["effects"])
    assert len(levels.line()) > 400
    # A look at an effect takes 15 microseconds; in 5 ms there is time for 300.
    assert most <= 150, most


def test_an_edit_that_changes_nothing_says_nothing_of_its_parent() -> None:
    """It gives its parent's very number on its parent's seed: that is no second look at the noise."""
    happened = [*baseline(1.0, 1.0004, 0.9997), run(0.997, "a", "base", "good", seed=7), Stepped("a", "good")]
    copies = [run(0.997, f"c{n}", "a", f"no-op {n}", seed=7) for n in range(3)]
    alone, copied = told(happened), told([*happened, *copies])
    seen = [levels.belief("good") for levels in (alone, copied)]
    assert seen[0] and seen[1] and seen[0].seen == seen[1].seen and copied.level("a") == alone.level("a")
    again = told([*happened, run(0.997, "c0", "a", "no-op", seed=8)])
    assert again.level("a") != alone.level("a"), "another seed is another look"


@pytest.mark.parametrize("fresh", [0, 4, 16])
def test_what_children_make_of_a_level_weighs_less_than_its_own_fresh_runs(fresh: int) -> None:
    """Edits that do nothing cost a sigma here, which the judge cannot know: every child says that the state is worse
    than it is, with one voice."""
    chance = random.Random(1)

    def noisy(level: float) -> float:
        return level + SIGMA * chance.gauss()

    happened = [*baseline(*(noisy(1.0) for _ in range(8))), run(noisy(0.99), "a", "base", "good"), Stepped("a", "good")]
    happened += [run(noisy(0.991), f"child {number}", "a", f"idea {number}") for number in range(200)]
    happened += [run(noisy(0.99), "a", seed=seed) for seed in range(100, 100 + fresh)]
    levels = told(happened)
    said, known = levels.level("a"), levels.fresh_level("a")
    assert said and known and said.deviation < 0.3 * SIGMA < said.mean - 0.99
    assert abs(known.mean - 0.99) <= 2.0 * known.deviation
    assert known.deviation == pytest.approx((levels.noise.sigma or 0.0) / (2 + fresh) ** 0.5, rel=0.1)
