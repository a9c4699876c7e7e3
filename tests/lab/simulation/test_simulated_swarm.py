"""Simulated swarms: equal seeds give equal outcomes, the truth is counted right, and a judge that is fooled shows."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from swarm.judge import race as rules
from swarm.judge.decide import POLICIES, Policy, read_policy
from swarm.lab.simulation.ideas import Change, read, shuffled, untouched, worded, written
from swarm.lab.simulation.landscape import LANDSCAPES, START, Effect, Landscape, Truth
from swarm.lab.simulation.simulated_swarm import SimulatedSwarm, simulate, simulate_and_time
from swarm.lab.simulation.tables import swarm_table
from swarm.novelty.code import fingerprint, size
from swarm.records import Outcome, Rung, Status, Verdict

SWARM = SimulatedSwarm(LANDSCAPES["default"], 0.0006, gpus=4, hours=2.5)


def test_equal_seeds_give_equal_outcomes_and_others_do_not() -> None:
    short = replace(SWARM, hours=1.0)
    assert simulate(short) == simulate(short) != simulate(replace(short, seed=1))


def test_timing_a_simulation_does_not_change_it(capsys: pytest.CaptureFixture[str]) -> None:
    short = replace(SWARM, gpus=12, hours=1.25)  # beyond 100 runs the noise is not learned anew from each
    outcome, effort = simulate_and_time(short)
    assert outcome == simulate(short)
    assert len(effort.snapshot.agents) == 12 and 0 < sum(effort.calls) < effort.seconds
    Console(width=100).print(swarm_table(short, outcome, effort))
    printed = capsys.readouterr().out
    assert "a call to the board" in printed and "of 12 agents" in printed


def test_a_swarm_goes_somewhere_and_its_headline_is_near_the_truth() -> None:
    outcome = simulate(replace(SWARM, seed=2))
    assert outcome.gain > 0
    assert outcome.optimism is not None and abs(outcome.optimism) < 2
    assert outcome.keeps > outcome.false_keeps
    assert 0.3 < outcome.new_share < 1
    assert 80 < outcome.runs <= 4 * 2.5 * 12


def test_a_judge_that_keeps_everything_is_seen_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same swarm with an honest judge and with one that keeps whatever ran: the truth tells them apart."""

    def gullible(*_: object) -> Verdict:
        return Verdict(Status.KEEP, 0.01, 0.001, 1, "whatever", Outcome.GAINED, Rung.KEPT)

    swarm = replace(SWARM, seed=2)
    honest = simulate(swarm)
    monkeypatch.setitem(POLICIES, "gullible", Policy(gullible))
    fooled = simulate(replace(swarm, policy="gullible"))
    assert fooled.keeps > 2 * honest.keeps
    assert fooled.false_keeps / fooled.keeps > 0.7 > honest.false_keeps / honest.keeps
    assert fooled.gain < 0 < honest.gain


def test_a_swarm_without_any_gain_crowns_nobody() -> None:
    outcome = simulate(replace(SWARM, landscape=SWARM.landscape.null()))
    assert outcome.gain <= 0
    assert (outcome.crowned, outcome.false_keeps) == (0, outcome.keeps)


def test_what_was_kept_is_worth_what_the_truth_says(truth_of: Callable[..., Truth]) -> None:
    truth = truth_of(Effect(0.002), Effect(-0.004), Effect(0.001, needs=(0,)), Effect(0.003, overlaps=0), Effect(0.0))
    assert START - truth.value([0]) == pytest.approx(0.002, rel=0.05)
    assert truth.value([1]) == START + 0.004
    assert truth.value([2]) == truth.value([4]) == truth.value([]) == START  # it shows only on top of 0
    assert START - truth.value([0, 2]) == pytest.approx(0.003, rel=0.05)
    assert truth.value([0, 3]) == truth.value([3])  # the larger of the two counts
    assert truth.value([0, 1]) == pytest.approx(truth.value([0]) + 0.004)
    together = START - truth.value([0, 2, 3])
    assert together < 0.003 + 0.001  # gains add up to less and less


@pytest.fixture
def truth_of() -> Callable[..., Truth]:
    def make(*effects: Effect) -> Truth:
        truth = Truth(Landscape(bad=0.5, gain=0.1), seed=0)
        truth._effects = list(effects)
        return truth

    return make


def test_landscapes_hold_what_they_say() -> None:
    for landscape in LANDSCAPES.values():
        truth = Truth(landscape, seed=3)
        sizes = [truth.effect(number).size for number in range(8_000)]
        gains = [size for size in sizes if size > 4 * landscape.drift]  # beyond what drifts there
        beyond = math.exp(-4 * landscape.drift / landscape.mean_gain)
        assert len(gains) / len(sizes) == pytest.approx(landscape.gain * beyond, rel=0.15)
        assert sum(gains) / len(gains) == pytest.approx(landscape.mean_gain + 4 * landscape.drift, rel=0.15)
        losses = [size + landscape.cost for size in sizes if size < -landscape.cost - 4 * landscape.drift]
        assert sum(losses) / len(losses) + 4 * landscape.drift == pytest.approx(-landscape.mean_loss, rel=0.15)
        nothing = Truth(landscape.null(), seed=3)
        assert not any(nothing.effect(number).size > 0 for number in range(1000))


def test_every_change_is_one_edit_that_reads_back_in_any_spelling() -> None:
    base, chance = untouched(), random.Random(4)
    assert read(base) == frozenset()
    for change in shuffled(5)[:200]:
        plain, spelled = (base.edited(written(change, base, how)) for how in (None, chance))
        assert read(plain) == read(spelled) == {change}
        assert fingerprint(plain) == fingerprint(spelled) != fingerprint(base)
        assert plain.edited(written(change, plain, chance)) == plain  # who sees it there already changes nothing


def test_no_two_ideas_are_the_same_code_or_go_by_the_same_title() -> None:
    base, changes, chance = untouched(), shuffled(6)[:400], random.Random(7)
    assert len({fingerprint(base.edited(written(change, base, None))) for change in changes}) == len(changes)
    named: dict[str, Change] = {}
    for change in changes * 5:
        assert named.setdefault(worded(change, chance).title, change) == change
    assert len(named) > 2 * len(changes)


def test_kept_changes_add_up() -> None:
    source, held = untouched(), set[Change]()
    for change in shuffled(8)[:40]:
        source = source.edited(written(change, source, None))
        held = {other for other in held if other.call or other.place != change.place} | {change}
    assert read(source) == held
    assert size(source) > size(untouched())


def test_a_knob_turned_twice_holds_the_later_value() -> None:
    source = untouched()
    for value in (0.05, 0.1):
        source = source.edited(written(Change("WARMUP", value=value), source, None))
    assert read(source) == {Change("WARMUP", value=0.1)}


def test_parse_names_a_policy_with_other_rules() -> None:
    policy = read_policy("race:keep_z=1.5:max_runs=4")
    assert policy.rule is POLICIES["race"].rule
    assert (policy.rules.keep_z, policy.rules.max_runs, policy.rules.drop_z) == (1.5, 4, rules.STANDARD.drop_z)
