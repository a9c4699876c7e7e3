"""A record judged again: on simulated nights, where the truth is known, its words have to come true."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.judge.record import JudgedRecord, Recorded, judge_record, most_noise

SIGMA = 0.0006


def greedy_night(seed: int, ideas: int = 120) -> tuple[list[Recorded], dict[int, bool], float]:
    """What a loop records that keeps whatever looks better: its rows, which keeps truly gain, the last true level."""
    chance = random.Random(seed)
    level = best = 0.0
    rows, real = [Recorded(1, best := chance.gauss(0, SIGMA), True, "baseline")], {}
    for line in range(2, ideas + 2):
        kind = chance.random()
        gain = chance.expovariate(1 / 0.0015) if kind < 0.08 else -chance.expovariate(250) if kind < 0.5 else 0.0
        value = level - gain + chance.gauss(0, SIGMA)
        kept = value < best
        rows.append(Recorded(line, value, kept, f"idea {line}"))
        if kept:
            level, best, real[line] = level - gain, value, gain > 0
    return rows, real, level


def test_over_many_nights_the_chances_come_true_and_the_level_is_nearer_than_the_record() -> None:
    expected = true = keeps = 0.0
    overstated, mine, theirs, inside = [], [], [], 0
    for seed in range(30):
        rows, real, level = greedy_night(seed)
        judged = judge_record(rows, SIGMA)
        expected, true, keeps = expected + judged.expected, true + sum(real.values()), keeps + len(real)
        overstated.append(judged.recorded - level)
        mine.append(abs(judged.level - level))
        theirs.append(abs(judged.recorded - level))
        inside += judged.low <= level <= judged.high
        assert {keep.line for keep in judged.keeps} == real.keys()
    assert fmean(overstated) < -0.3 * SIGMA  # what looks best was lucky
    assert expected == pytest.approx(true, rel=0.25)
    assert expected < 0.8 * keeps
    assert fmean(mine) < 0.75 * fmean(theirs)
    assert inside >= 24  # of 30; 95% of them, were the model exact


def test_keeps_that_nothing_was_built_on_are_judged_by_themselves() -> None:
    rows = [
        Recorded(1, 1.0, True, "baseline"),
        Recorded(2, 1.0 - 20 * SIGMA, True, "great"),
        Recorded(3, 0.9885, True, "x"),
    ]
    judged = judge_record(rows, SIGMA)
    great, small = judged.keeps
    assert great.real > 0.99 and great.claimed == pytest.approx(20 * SIGMA)
    assert small.real < 0.9 and small.low < small.gain < small.high


def test_each_baseline_begins_a_line_of_its_own() -> None:
    first = [Recorded(1, 1.0, True, "baseline", 1), Recorded(2, 0.98, True, "good", 1)]
    second = [Recorded(3, 1.5, True, "baseline", 2), Recorded(4, 1.5 - SIGMA / 10, True, "nothing", 2)]
    judged = judge_record([*first, *second], SIGMA)
    good, nothing = judged.keeps
    assert good.real > 0.99 and nothing.real < 0.5
    assert judged.ideas == 2 and judged.level == pytest.approx(1.5, abs=2 * SIGMA)


def test_a_record_without_a_keep() -> None:
    rows = [Recorded(line, 1.0 + line * SIGMA, line == 1, "x") for line in range(1, 6)]
    judged = judge_record(rows, SIGMA)
    assert judged.keeps == () and judged.expected == 0
    assert judged.recorded == rows[0].value


def test_the_most_that_the_noise_can_be() -> None:
    chance = random.Random(0)
    rows = [Recorded(0, 1.0, True, "baseline")]
    rows += [Recorded(n, 1.0 + chance.gauss(0, SIGMA), False, "x") for n in range(1, 400)]
    assert SIGMA / 2 < most_noise(rows) < 1.5 * SIGMA
    assert most_noise(rows[:1]) == 0.0


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans(), st.integers(0, 2)), min_size=1, max_size=30))
def test_whatever_was_recorded_is_judged(lines: list[tuple[float, bool, int]]) -> None:
    rows = [Recorded(n, value, kept, "x", block) for n, (value, kept, block) in enumerate(lines)]
    judged: JudgedRecord = judge_record(rows, 0.5)
    assert all(0 <= keep.real <= 1 and keep.low <= keep.gain <= keep.high for keep in judged.keeps)
    assert judged.low < judged.level < judged.high
