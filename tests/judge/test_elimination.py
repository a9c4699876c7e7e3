"""Backward elimination driven to its end on made-up lines whose truth is known.

python -m pytest tests/judge/test_elimination.py
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from swarm.judge.ablation import FRESH, NOTHING, RUNS, Again, Check, Checks, Done, Left, LineStep, Make, Steps, Wait
from swarm.judge.effects import Seen
from swarm.judge.elimination import Elimination

SIGMA = 0.001


@dataclass
class World:
    """Codes with a true cost, in sigmas, and noise; `conflicts` says what goes along with a step that goes."""

    names: Sequence[str]
    cost: Callable[[Steps], float]
    seen: dict[str, Seen] = field(default_factory=dict)
    conflicts: dict[str, str] = field(default_factory=dict)
    crashes: Callable[[Steps], bool] = lambda steps: False
    sigma: float = SIGMA
    room: int | None = None
    loudness: float = 0.3  # of the noise, as a share of what it is thought to be
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    full: Left = field(default_factory=lambda: Left(NOTHING, NOTHING))
    codes: list[Left] = field(default_factory=list)
    runs: int = 0
    given: int = 0  # runs of the full code that it does not pay for
    fails_checks: Callable[[Steps], bool] | None = None  # None: the project has no checks
    is_full: Callable[[Steps], bool] = lambda steps: False  # what is left without these steps is the full code
    checked: list[Steps] = field(default_factory=list)

    def state(self) -> Elimination:
        line = [LineStep(name, self.seen.get(name)) for name in self.names]
        checks = self.fails_checks is not None
        return Elimination(
            line, self.full, list(self.codes), self.sigma, room=self.room, given=self.given, checks=checks
        )

    def finish(self) -> Done:
        for _ in range(2000):
            match self.state().next():
                case Done() as done:
                    return done
                case Make(wanted, verifies):
                    self.make(wanted, verifies)
                case Again(steps, seed):
                    self.run(steps, seed)
                case Check(steps):
                    self.check(steps)
                case Wait():
                    raise AssertionError("nothing runs, and it waits")
        raise AssertionError("it never ends")

    def make(self, wanted: Steps, verifies: bool) -> None:
        steps = wanted
        while (more := steps | {self.conflicts[name] for name in steps if name in self.conflicts}) != steps:
            steps = more
        same = self.is_full(steps)
        self.codes.append(Left(wanted, steps, self.full.values if same else {}, verifies=verifies, same=same))

    def check(self, steps: Steps) -> None:
        assert self.fails_checks
        self.checked.append(steps)
        found = {"fault": True} if self.fails_checks(steps) else {"checks": Checks.PASSED}
        self.codes = [replace(code, **found) if code.steps == steps else code for code in self.codes]

    def run(self, steps: Steps, seed: int) -> None:
        self.runs += 1
        noise = random.Random(f"{sorted(steps)} {seed} {self.chance.random()}").gauss()
        value = 1.0 + (self.sigma or SIGMA) * self.cost(steps) + self.loudness * self.sigma * noise
        fault = self.crashes(steps)
        if not steps:
            self.full = _with(self.full, seed, value, fault)
        self.codes = [_with(code, seed, value, fault) if code.steps == steps else code for code in self.codes]


def _with(code: Left, seed: int, value: float, fault: bool) -> Left:
    values = code.values if fault else {**code.values, seed: value}
    return replace(code, values=values, begun=code.begun | {seed}, fault=fault)


def additive(gains: dict[str, float]) -> Callable[[Steps], float]:
    return lambda steps: sum(gains[name] for name in steps)


def dropped(done: Done) -> set[str]:
    return {result.name for result in done.results if result.dropped}


def test_a_step_of_no_worth_goes_and_one_that_matters_stays() -> None:
    world = World("ab", additive({"a": 5.0, "b": 0.0}), {"a": Seen(5.0, 0.8), "b": Seen(0.3, 0.8)})
    done = world.finish()
    assert dropped(done) == {"b"} == {*done.steps}
    assert done.verified and done.verified.holds and done.verified.pairs == FRESH
    gain = {result.name: result for result in done.results}
    assert gain["a"].low is not None and gain["a"].low > 2 * SIGMA
    assert gain["b"].gain is not None and abs(gain["b"].gain) < SIGMA and gain["a"].runs == RUNS


def test_of_two_steps_that_do_the_same_one_stays() -> None:
    def cost(steps: Steps) -> float:
        return 6.0 if {"a", "b"} <= steps else 0.0

    world = World("abc", cost, {name: Seen(x, 0.8) for name, x in {"a": 6.0, "b": 0.4, "c": 0.2}.items()})
    done = world.finish()
    assert "c" in dropped(done) and len({"a", "b"} - dropped(done)) == 1
    assert cost(done.steps) == 0.0


@given(st.sets(st.sampled_from("abcd")))
def test_what_is_left_has_passed_the_checks_or_every_step_stays(needed: set[str]) -> None:
    """Four steps of no worth; the checks fail without any of those that they need."""
    names = "abcd"
    world = World(
        names,
        additive(dict.fromkeys(names, -1.0)),
        {name: Seen(-1.0, 0.5) for name in names},
        fails_checks=lambda steps: bool(steps & needed),
    )
    done = world.finish()
    assert not done.steps & needed and len(world.checked) == len(set(world.checked))
    assert bool(done.steps) == bool(done.verified) and (not done.steps or done.steps in world.checked)
    if not needed:
        assert done.steps == {*names} and world.checked == [done.steps]


def test_two_steps_that_undo_each_other_do_not_go_together() -> None:
    """Each of them alone may go, though both are of no worth; without both it is the full code, line for line."""
    gains = {"a": -1.0, "b": -0.9, "c": 5.0}
    seen = {name: Seen(x, 0.5) for name, x in gains.items()}
    world = World("abc", additive(gains), seen, is_full=lambda steps: steps >= {"a", "b"})
    done = world.finish()
    assert len(dropped(done)) == 1 and dropped(done) < {"a", "b"} and done.verified and done.verified.holds
    world = World("abc", additive(gains), seen, is_full=lambda steps: steps == {"a"})
    done = world.finish()
    first = done.results[0]
    assert dropped(done) == {"b"} and (first.runs, first.gain, first.dropped) == (0, None, False)


def test_without_checks_none_are_asked_for() -> None:
    world = World("ab", additive({"a": 5.0, "b": 0.0}), {"a": Seen(5.0, 0.8), "b": Seen(0.3, 0.8)})
    assert dropped(world.finish()) == {"b"} and not world.checked


def test_what_conflicts_goes_together_and_is_judged_together() -> None:
    gains = {"a": 0.0, "b": 5.0, "c": -2.0}
    world = World("abc", additive(gains), {name: Seen(x, 0.8) for name, x in gains.items()}, {"a": "b"})
    done = world.finish()
    assert dropped(done) == {"c"}
    assert next(result for result in done.results if result.name == "a").together == ("b",)


def test_a_newer_step_that_goes_lets_the_one_that_it_held_go_alone() -> None:
    gains = {"a": -2.0, "b": -2.0, "c": 4.0}
    world = World("abc", additive(gains), {name: Seen(x, 0.8) for name, x in gains.items()}, {"a": "b"})
    assert dropped(world.finish()) == {"a", "b"}


def test_code_that_does_not_run_needs_what_it_lacks() -> None:
    world = World("ab", additive({"a": 0.0, "b": 0.0}), crashes=lambda steps: "a" in steps)
    world.seen = {name: Seen(-1.0, 0.8) for name in "ab"}
    done = world.finish()
    assert dropped(done) == {"b"}
    assert next(result for result in done.results if result.name == "a").gain is None


def test_a_full_code_that_does_not_run_ends_it() -> None:
    done = World("ab", additive({"a": 0.0, "b": 0.0}), crashes=lambda steps: not steps).finish()
    assert done == Done((), NOTHING, None)


@pytest.mark.parametrize("room", [None, 22, 15])
def test_a_joint_loss_that_no_step_shows_alone_is_never_verified(room: int | None) -> None:
    def cost(steps: Steps) -> float:
        return 8.0 if len(steps) > 2 else 0.0

    world = World("abcd", cost, {name: Seen(0.1, 0.8) for name in "abcd"}, room=room)
    world.full = Left(NOTHING, NOTHING, dict.fromkeys(range(4), 1.0), frozenset(range(4)))
    world.given = 4
    done = world.finish()
    assert cost(done.steps) == 0.0 or not done.verified
    assert room == 15 or 1 <= len(done.steps) <= 2


@pytest.mark.parametrize("gain", [1e-9, 0.0, -1e-9])
def test_without_noise_one_run_is_the_truth(gain: float) -> None:
    world = World("ab", additive({"a": 5.0, "b": gain / SIGMA}), sigma=0.0)
    done = world.finish()
    assert dropped(done) == (set() if gain > 0 else {"b"})
    assert all(result.runs == 1 and result.low == result.gain == result.high for result in done.results)


def test_an_empty_line_is_done_at_once() -> None:
    assert World("", additive({})).finish() == Done((), NOTHING, None)


def test_nothing_more_is_asked_for_while_what_decides_it_runs() -> None:
    world = World("ab", additive({"a": 5.0, "b": 0.0}))
    world.full = Left(NOTHING, NOTHING, {}, frozenset(range(4)))
    world.codes = [Left(frozenset(name), frozenset(name), {}, frozenset(range(RUNS))) for name in "ab"]
    assert world.state().next() == Wait()


def test_when_the_time_is_up_all_that_was_measured_counts() -> None:
    """The last run of the last step is missing, and the codes that leave out two steps were never made."""
    names = "abcdef"
    world = World(names, additive({name: 5.0 if name in "ab" else -0.5 for name in names}))
    for seed in range(4):
        world.run(NOTHING, seed)
    for name in names:
        world.make(frozenset(name), verifies=False)
        for seed in range(RUNS if name != "f" else RUNS - 1):
            world.run(frozenset(name), seed)
    done = world.state().so_far()
    assert len(dropped(done)) == 1 and dropped(done) < {*"cde"} and done.verified is None
    assert [result.runs for result in done.results] == [2, 2, 2, 2, 2, 1]


def test_a_step_that_takes_another_along_lends_it_no_number() -> None:
    """`b` goes alone, and `a` only with it: what both are worth is not what `b` is worth."""
    world = World("ab", additive({"a": -2.0, "b": -2.0}), conflicts={"a": "b"}, loudness=0.1)
    found = {result.name: result for result in world.finish().results}
    assert found["a"].dropped and found["b"].dropped
    assert found["a"].gain == pytest.approx(-4 * SIGMA, abs=0.4 * SIGMA)
    assert found["b"].gain == pytest.approx(-2 * SIGMA, abs=0.4 * SIGMA)


def test_the_intervals_hold_whatever_edits_are_worth() -> None:
    """Where those that do nothing truly cost something, which the prior does not know."""
    held = 0
    measured = 0
    for number in range(60):
        chance = random.Random(number)
        gains = {f"{place}": -0.83 if place % 2 else chance.expovariate(1 / 2.5) for place in range(10)}
        seen = {name: Seen(gain + 0.4 * chance.gauss() + 0.5, 0.4) for name, gain in gains.items()}
        done = World(list(gains), additive(gains), seen, chance=chance, loudness=1.0).finish()
        for result in done.results:
            if result.low is not None and result.high is not None:
                measured += 1
                held += result.low <= SIGMA * gains[result.name] <= result.high
    assert measured == 600 and 0.92 <= held / measured <= 0.98


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@settings(deadline=None, max_examples=30)
@given(names, st.data())
def test_whatever_it_meets_it_ends_within_its_room_and_says_the_same_again(
    line: list[str], data: st.DataObject
) -> None:
    """Any effects, conflicts and crashes, with any room: no run too many, and the same answer from the same record."""
    effects = {name: data.draw(st.floats(-3, 6), label=name) for name in line}
    conflicts = {name: data.draw(st.sampled_from(line)) for name in line if data.draw(st.booleans())}
    faulty = data.draw(st.sets(st.sampled_from(line), max_size=2))
    room = data.draw(st.none() | st.integers(0, 60))
    seen = {name: Seen(effects[name], 0.9) for name in line if data.draw(st.booleans())}
    world = World(line, additive(effects), seen, conflicts, lambda steps: bool(faulty & steps), room=room)
    world.full = Left(NOTHING, NOTHING, dict.fromkeys(range(4), 1.0), frozenset(range(4)))
    world.given = 4
    done = world.finish()
    assert world.state().next() == done
    assert room is None or world.runs <= room
    assert [result.name for result in done.results] == line
    assert {*done.steps} == dropped(done)
    assert not done.steps & faulty
    for result in done.results:
        if result.runs and result.gain is not None:
            assert result.low is not None and result.high is not None and result.low <= result.gain <= result.high
        else:
            assert result.low is None is result.high


def mean(numbers: Iterable[float]) -> float:
    known = list(numbers)
    return sum(known) / len(known)


def test_nulls_go_and_little_is_lost() -> None:
    """Lines as a swarm leaves them: a third of their steps gain nothing, the others 1 to 8 sigmas."""
    chance, found, lost = random.Random(5), list[float](), list[float]()
    for number in range(6):
        gains = {f"{place}": 0.0 if place % 3 == 0 else 1.0 + 7 * chance.random() for place in range(18)}
        seen = {name: Seen(gain + 0.9 * chance.gauss(), 0.9) for name, gain in gains.items()}
        done = World(list(gains), additive(gains), seen, chance=random.Random(number), room=90, loudness=1.0).finish()
        nulls = {name for name, gain in gains.items() if not gain}
        found.append(len(nulls & done.steps) / len(nulls))
        lost.append(additive(gains)(done.steps) / sum(gains.values()))
    assert mean(found) >= 0.6 and mean(lost) <= 0.03
