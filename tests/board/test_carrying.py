"""A swarm under carry on the real board: one run decides, later runs undo and label, and a resume changes nothing.

python -m pytest tests/board/test_carrying.py
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.board.carrying import levels_of
from swarm.history.results_writer import write_results
from swarm.judge.trunk_levels import TrunkLevels
from swarm.ledger import runs, transitions
from swarm.ledger.experiments import experiment
from swarm.records import Failure, Outcome, Purpose, Rest, Rung, Status
from tests.board.nights import Night

MakeNight = Callable[..., Night]


@pytest.fixture
def carrying(make_night: MakeNight) -> Night:
    """Two agents under carry whose baselines are measured: 1.0 on average, with a sigma of about 0.001."""
    night = make_night(policy="carry")
    night.baselines()
    return night


def step(night: Night, agent: str, knob: int, value: float) -> str:
    """An experiment that is judged by its one run."""
    name = night.draft(agent, knob)
    night.run(agent, value)
    assert night.state(name) == "judged", dict(night.row(name))
    return name


def test_one_run_decides_and_nothing_is_run_twice(carrying: Night) -> None:
    better, worse = step(carrying, "gpu0", 0, 0.9985), step(carrying, "gpu1", 1, 1.003)
    assert (carrying.row(better)["status"], carrying.row(worse)["status"]) == ("keep", "discard")
    assert {run["purpose"] for run in carrying.runs()} == {"baseline", "first"}
    assert carrying.trunk() == [None, better]


def test_a_step_is_carried_or_kept_by_its_chance(carrying: Night, tmp_path: Path) -> None:
    small, large = step(carrying, "gpu0", 0, 0.9985), step(carrying, "gpu0", 1, 0.9935)
    assert (carrying.row(small)["rung"], carrying.row(large)["rung"]) == ("carried", "kept")
    assert carrying.row(small)["real"] < 0.5 < carrying.row(large)["real"]
    carrying.ledger.execute("UPDATE experiments SET commit_sha = 'c0ffee0'")
    write_results(carrying.ledger, carrying.tag, tmp_path)
    rows = (tmp_path / "gpu0" / "results.tsv").read_text().splitlines()
    assert [row.split("\t")[3:] for row in rows[2:]] == [
        ["keep", f"k0 -> 2 (p={carrying.row(small)['real_at_verdict']:.2f})"],
        ["keep", f"k1 -> 2 (p={carrying.row(large)['real_at_verdict']:.2f})"],
    ]


def test_a_step_that_later_runs_show_to_lose_is_undone_by_a_row_of_its_own(carrying: Night, tmp_path: Path) -> None:
    lucky = step(carrying, "gpu0", 0, 0.998)
    carrying.ledger.execute("UPDATE experiments SET commit_sha = 'c0ffee0'")
    write_results(carrying.ledger, carrying.tag, tmp_path)
    before = (tmp_path / "gpu0" / "results.tsv").read_text()
    for _ in range(4):
        if len(carrying.trunk()) == 2:
            refresh(carrying, lucky, 1.004)
    restoring = carrying.trunk()[-1]
    assert restoring and carrying.row(restoring)["outcome"] == Outcome.RESTORED
    assert carrying.row(restoring)["source"] == carrying.base.sha and carrying.row(lucky)["rung"] == "undone"
    assert "all runs until now make it a loss" in carrying.row(restoring)["reason"]
    carrying.ledger.execute("UPDATE experiments SET commit_sha = 'c0ffee0'")
    write_results(carrying.ledger, carrying.tag, tmp_path)
    after = (tmp_path / "gpu0" / "results.tsv").read_text()
    assert after.startswith(before), "the rows before never change"
    assert "keep\troll back to the baseline: undo k0 -> 2" in after[len(before) :]


def refresh(night: Night, name: str, value: float, agent: str = "gpu1") -> None:
    """The step's code once more, by whoever is free."""
    with night.ledger.transaction():
        row = experiment(night.ledger, name)
        work = runs.begin(night.transaction(), agent, night.fences[agent], row, Purpose.REFRESH, row.source or "")
    night.record(agent, work, value)


def test_a_champion_is_never_undone(carrying: Night) -> None:
    lucky = step(carrying, "gpu0", 0, 0.998)
    transitions.crown(carrying.transaction(), lucky)
    for _ in range(4):
        refresh(carrying, lucky, 1.004)
    assert carrying.trunk() == [None, lucky] and carrying.row(lucky)["rung"] == Rung.CHAMPION


def test_labels_follow_the_runs_and_are_told_once_each(carrying: Night) -> None:
    name = step(carrying, "gpu0", 0, 0.9975)
    first = carrying.row(name)["real_at_verdict"]
    for value in (0.9968, 0.9968, 0.9968, 1.002, 1.0, 0.996, 0.996, 0.996, 0.996):
        refresh(carrying, name, value)
    told = [row["kind"] for row in carrying.ledger.rows("SELECT kind FROM events WHERE experiment = ?", name)]
    assert carrying.row(name)["real"] > first == carrying.row(name)["real_at_verdict"]
    assert carrying.row(name)["rung"] == Rung.KEPT
    assert all(told.count(kind) <= 1 for kind in ("kept", "carried")), told


def test_a_trunk_that_moved_asks_for_one_more_run_on_it(carrying: Night) -> None:
    first = carrying.draft("gpu0", 0)
    carrying.draft("gpu1", 1)
    mine, other = carrying.measure("gpu0"), carrying.measure("gpu1")
    carrying.record("gpu0", mine, 0.997)
    verdict = carrying.record("gpu1", other, 0.997)
    assert carrying.trunk() == [None, first] and verdict and verdict.status is None
    verdict = carrying.run("gpu1", 0.9945)
    assert verdict and verdict.status is Status.KEEP and verdict.n == 2


def test_a_resumed_board_knows_to_the_last_bit_what_one_that_never_stopped_knows(carrying: Night) -> None:
    chance = random.Random(3)
    for number in range(24):
        agent = carrying.agents[number % 2]
        carrying.draft(agent, number % 12, number + 2)
        carrying.run(agent, 1.0 - 0.0004 * number * chance.random() + 0.001 * chance.gauss())
        if number % 8 == 7:
            refresh(carrying, next(name for name in carrying.trunk() if name), 0.9990, agent)
        if number % 5 == 4:
            going = beliefs(levels_of(carrying.transaction()))
            labels = carrying.ledger.rows("SELECT id, rung, real FROM experiments ORDER BY id")
            carrying.restart()
            carrying.join()
            assert beliefs(levels_of(carrying.transaction())) == going
            assert labels == carrying.ledger.rows("SELECT id, rung, real FROM experiments ORDER BY id")
    assert len(carrying.trunk()) > 3


def beliefs(levels: TrunkLevels) -> list[object]:
    line = levels.line()
    return [levels.tip, levels.noise, *((step, levels.belief(step.idea), levels.level(step.source)) for step in line)]


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_either_direction_of_the_metric(make_night: MakeNight, direction: str) -> None:
    night = make_night(policy="carry", direction=direction)
    night.baselines()
    sign = 1 if direction == "lower" else -1
    better, worse = step(night, "gpu0", 0, 1 - 0.003 * sign), step(night, "gpu0", 1, 1 + 0.003 * sign)
    assert (night.row(better)["status"], night.row(worse)["status"]) == ("keep", "discard")
    assert night.row(better)["gain"] > 0


@pytest.mark.parametrize("level", [1.0, 0.0])
def test_without_noise_one_run_is_the_truth(make_night: MakeNight, level: float) -> None:
    night = make_night(agents=1, policy="carry", sigma_prior=None)
    night.join()
    for _ in range(4):
        night.run("gpu0", level)
    better, same = step(night, "gpu0", 0, level - 1e-6), step(night, "gpu0", 1, level - 1e-6)
    assert (night.row(better)["status"], night.row(better)["rung"]) == ("keep", "kept")
    assert night.row(same)["status"] == "discard"
    assert night.row(better)["real"] is None, "no chance is involved"


def test_where_no_noise_is_known_the_untouched_code_runs_four_times(make_night: MakeNight) -> None:
    night = make_night(agents=1, policy="carry", sigma_prior=None)
    night.join()
    for value in (1.0, 1.001, 0.999, 1.0005):
        assert night.measure("gpu0").purpose == "baseline"
        night.run("gpu0", value)
    assert isinstance(night.next("gpu0"), Rest)
    assert night.board.swarm.sigma == pytest.approx(0.00085, rel=0.05)
    assert night.row(step(night, "gpu0", 0, 0.996))["status"] == "keep"


def test_a_child_without_a_number_says_nothing_of_its_parent(carrying: Night) -> None:
    name = step(carrying, "gpu0", 0, 0.998)
    known = levels_of(carrying.transaction()).belief(name)
    carrying.draft("gpu0", 1)
    carrying.run("gpu0", Failure.NAN)
    carrying.draft("gpu0", 2)
    carrying.run("gpu0", float("nan"))
    assert levels_of(carrying.transaction()).belief(name) == known


def test_before_the_end_what_is_in_doubt_runs_again(make_night: MakeNight) -> None:
    night = make_night(policy="carry", deadline=1_000_000.0 + 620)
    night.baselines()
    doubted = [night.row(step(night, "gpu0", knob, 0.998 - 0.002 * knob))["source"] for knob in range(3)]
    seen: set[str] = set()
    for knob in range(3, 70):
        night.draft("gpu0", knob % 12, knob + 2)
        work = night.measure("gpu0")
        seen.add(work.purpose)
        if work.purpose == "refresh":
            assert work.source in (*doubted, night.base.sha)
            break
        night.record("gpu0", work, 0.9945)
    assert "refresh" in seen and "closing" not in seen
    assert night.clock.now > 1_000_000.0 + 0.6 * 620, "only at the end"


def test_when_all_experiments_are_done_a_twentieth_of_the_runs_settles_what_is_in_doubt(carrying: Night) -> None:
    for knob in range(3):
        step(carrying, "gpu0", knob, 0.998 - 0.002 * knob)
    for knob in range(3, 40):
        carrying.draft("gpu0", knob % 12, knob + 2)
        carrying.run("gpu0", 0.9945)
    carrying.swarm(max_experiments=40)
    purposes = []
    while len(purposes) < 8:
        work = carrying.measure("gpu0")
        purposes.append(work.purpose)
        carrying.record("gpu0", work, 1.0 if work.source == carrying.base.sha else 0.9945)
    assert 1 <= purposes.count("refresh") <= 3 and purposes[-1] == "closing"
