"""The strict tests in mid-night and at the end: who earns one, on which runs, and who is champion when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm.judge.confirm import FRESH_RUNS, UNSTEADY_RUNS
from swarm.ledger.trunk import champion, leader
from swarm.records import Failure, Measure, Rest, Stop
from swarm.snapshot.build import Picture
from tests.board.nights import Night

MakeNight = Callable[..., Night]
BUSY = 160  # runs, of which a tenth are the eight of a confirmation and the eight of the last one


def work(
    night: Night, *agents: str, limit: int = 400, truth: Callable[[Measure], float | Failure] | None = None
) -> None:
    """The agents run what the board has for them until nothing is left but ideas; the kept code is 0.01 better."""
    worth = truth or (lambda run: 0.01 * (1 - (run.source == night.base.sha)) * -1 + 1.0)
    for _ in range(limit):
        idle = 0
        for agent in agents or night.agents:
            night.board.renew(agent, night.fences[agent])
            run = night.next(agent)
            if isinstance(run, Measure):
                value = worth(run)
                spread = 0.0004 * (-1) ** run.seed if isinstance(value, float) else 0.0
                night.record(agent, run, value + spread if isinstance(value, float) else value)
            else:
                assert isinstance(run, (Rest, Stop))
                idle += 1
        if idle == len(agents or night.agents):
            return
    raise AssertionError("it never ends")


def busy(night: Night, runs: int = BUSY, knob: int = 11) -> None:
    """So many ideas that lose at once, by the last agent; or until a confirmation is open."""
    agent = night.agents[-1]
    for number in range(runs):
        if any(test["state"] == "open" for test in asked(night)):
            return
        night.draft(agent, knob, number + 10)
        night.run(agent, 1.5)


@pytest.fixture(scope="module")
def busy_night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    night = Night(tmp_path_factory.mktemp("busy") / "ledger.sqlite", agents=3)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    busy(night)
    yield night
    night.ledger.close()


@pytest.fixture
def long_night(busy_night: Night, tmp_path: Path) -> Iterator[Night]:
    """Three agents, one kept step 0.01 better than the baseline, and so many runs that a confirmation is due."""
    night = busy_night.copied(tmp_path / ".swarm" / "ledger.sqlite")
    yield night
    night.ledger.close()


def asked(night: Night) -> list[dict]:
    return [dict(row) for row in night.ledger.rows("SELECT * FROM confirmations ORDER BY id")]


def snapshot(night: Night):
    return Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now)


def test_a_step_that_earned_it_is_confirmed_in_mid_night_and_is_champion_at_once(long_night: Night) -> None:
    night = long_night
    assert [(t["state"], t["asked"]) for t in asked(night)] == [("open", "swarm")]
    assert champion(night.ledger, night.tag) is None and snapshot(night).champion is None
    work(night)
    step = night.trunk()[-1]
    (test,) = asked(night)
    assert (test["state"], test["experiment"], test["n"], test["m"]) == ("confirmed", step, FRESH_RUNS, FRESH_RUNS)
    assert test["gain"] == pytest.approx(0.01, abs=1e-6) and test["p"] < 0.005
    told = snapshot(night)
    assert told.champion == step
    assert next(e.rung for e in told.experiments if e.id == step) == "champion"
    assert told.confirmations[0].state == "confirmed"
    events = [event.text for event in told.events if event.kind == "champion"]
    assert len(events) == 1 and events[0].startswith("k0 -> 2: gain +0.010000 on 4 + 4 fresh runs (p ")


def test_its_runs_are_fresh_and_pairs_on_one_gpu_in_alternating_order(long_night: Night) -> None:
    night = long_night
    before = {run["seed"] for run in night.runs()}
    work(night)
    runs = night.runs("purpose = 'confirm'")
    assert len(runs) == 2 * FRESH_RUNS and {run["confirmation"] for run in runs} == {1}
    assert not before & {run["seed"] for run in runs}
    pairs: dict[int, list[dict]] = {}
    for run in runs:
        pairs.setdefault(run["seed"], []).append(run)
    assert all(len({run["agent"] for run in pair}) == 1 for pair in pairs.values())
    assert all({run["source"] == night.base.sha for run in pair} == {True, False} for pair in pairs.values())
    firsts = [pair[0]["source"] == night.base.sha for _, pair in sorted(pairs.items())]
    assert firsts == [False, True, False, True]


def test_an_own_replicate_comes_first_and_a_confirmation_before_the_next_idea(long_night: Night) -> None:
    night = long_night
    night.draft("gpu0", 1)
    assert night.measure("gpu0").purpose == "confirm"
    night.ledger.execute("UPDATE experiments SET state = 'testing' WHERE state = 'drafted'")
    assert night.measure("gpu0").purpose == "first"


def test_a_lost_run_is_made_again_with_its_own_seed(long_night: Night) -> None:
    night = long_night
    lost = night.measure("gpu0")
    night.record("gpu0", lost, Failure.INFRASTRUCTURE)
    again = night.measure("gpu0")
    assert (again.run, again.attempt, again.seed, again.purpose) == (lost.run, 2, lost.seed, "confirm")
    night.call("leave", "gpu0", night.fences["gpu0"])
    work(night, "gpu1", "gpu2")
    assert asked(night)[0]["state"] == "confirmed"


def test_nothing_is_confirmed_without_a_gain_and_no_state_gets_a_second_chance(long_night: Night) -> None:
    night = long_night
    work(night, truth=lambda run: 1.0)
    (test,) = asked(night)
    assert test["state"] == "unconfirmed" and test["p"] > 0.05
    assert snapshot(night).champion is None
    busy(night, BUSY, knob=10)
    assert len(asked(night)) == 1


def test_a_candidate_that_crashes_on_fresh_seeds_is_not_confirmed(long_night: Night) -> None:
    night = long_night
    work(night, truth=lambda run: 1.0 if run.source == night.base.sha else Failure.CODE)
    (test,) = asked(night)
    assert (test["state"], test["gain"]) == ("unconfirmed", None)


def test_an_unsteady_candidate_gets_eight_and_eight(long_night: Night) -> None:
    night = long_night
    work(night, truth=lambda run: 1.0 if run.source == night.base.sha else 0.985 + 0.005 * (-1) ** (run.seed // 2))
    (test,) = asked(night)
    assert (test["wanted"], test["n"], test["m"]) == (UNSTEADY_RUNS,) * 3


def test_too_few_runs_pay_for_no_confirmation_and_greedy_never_asks_for_one(make_night: MakeNight) -> None:
    night = make_night()
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    busy(night, 140)
    assert asked(night) == []
    greedy = make_night(tag="apr6", key="other", policy="greedy")
    greedy.baselines()
    greedy.draft("gpu0", 0)
    greedy.run("gpu0", 0.99)
    busy(greedy)
    assert asked(greedy) == []


def test_the_next_champion_has_to_beat_the_last_one(long_night: Night) -> None:
    night = long_night
    work(night)
    first = night.trunk()[-1]
    second = night.keep("gpu0", 1, 0.98)
    busy(night, BUSY, knob=10)
    work(night, truth=lambda run: 0.98 if run.source == night.row(second)["source"] else 0.99)
    assert [(t["rival_experiment"], t["state"]) for t in asked(night)][1] == (first, "confirmed")
    assert night.row(first)["rung"] == "confirmed" and night.row(second)["rung"] == "champion"
    assert snapshot(night).champion == second


def test_at_the_end_the_champion_is_challenged_once_more_and_the_headline_is_the_leaders(long_night: Night) -> None:
    night = long_night
    work(night)
    first = night.trunk()[-1]
    second = night.keep("gpu0", 1, 0.98)
    night.swarm(max_experiments=1)
    weak = night.row(second)["source"]
    work(night, truth=lambda run: {night.base.sha: 1.0, weak: 0.9899}.get(run.source, 0.99))
    states = [(t["experiment"], t["asked"], t["state"]) for t in asked(night)]
    assert states == [(first, "swarm", "confirmed"), (second, "swarm", "unconfirmed")]
    told = snapshot(night)
    assert told.champion == first == leader(night.ledger, night.tag).experiment
    closing = night.runs("purpose = 'closing'")
    assert {run["source"] for run in closing} == {night.base.sha, night.row(first)["source"]}
    assert told.headline and told.headline.mean == pytest.approx(0.99, abs=1e-4)
    confirmed = {run["id"] for run in night.runs("purpose = 'confirm'")}
    assert not confirmed & {run["id"] for run in closing}


def test_the_closing_wave_crowns_once_and_on_all_of_its_runs(make_night: MakeNight) -> None:
    night = make_night()
    night.baselines()
    step = night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1)
    work(night)
    (test,) = asked(night)
    assert (test["asked"], test["state"], test["experiment"], test["n"]) == ("closing", "confirmed", step, 4)
    assert len([event for event in snapshot(night).events if event.kind == "champion"]) == 1


def test_a_confirmation_leaves_time_for_the_closing_wave(long_night: Night) -> None:
    night = long_night
    night.draft("gpu0", 1)
    night.swarm(deadline=night.clock.now + 10.0 * (2 * 2 + 2 * 3) + 5.0)  # 4 pairs, then 8 pairs, on three GPUs
    assert not night.board.wants_draft("gpu1")
    work(night)
    assert asked(night)[0]["state"] == "confirmed"
    assert len(night.runs("purpose = 'closing' AND state = 'measured'")) > 0
    night.swarm(deadline=night.clock.now)
    assert isinstance(night.next("gpu0"), Stop)


@pytest.mark.parametrize(("worth", "fits"), [(0.9889, False), (0.98, True)], ids=["too little", "enough"])
def test_time_is_kept_for_a_last_confirmation_only_where_the_tip_has_earned_one(
    long_night: Night, worth: float, fits: bool
) -> None:
    """Else a GPU would have nothing to do at the end of the night."""
    night = long_night
    work(night)
    night.keep("gpu0", 1, worth)
    night.draft("gpu0", 2)
    closing, confirming = 10.0 * 2 * 3, 10.0 * 2 * 2  # 8 pairs, and 4 pairs, on three GPUs
    night.swarm(deadline=night.clock.now + closing + confirming + 5.0)
    assert night.measure("gpu0").purpose == ("confirm" if fits else "first")


def test_a_confirmation_that_would_cost_the_closing_wave_its_time_is_not_begun(long_night: Night) -> None:
    night = long_night
    work(night)
    night.keep("gpu0", 1, 0.98)
    night.swarm(deadline=night.clock.now + 10.0 * 2 * 3 + 15.0)
    assert night.measure("gpu0").purpose == "closing"


def test_on_one_gpu_a_short_night_is_tested_by_its_closing_wave_alone(make_night: MakeNight) -> None:
    night = make_night(agents=1)
    night.baselines()
    step = night.keep("gpu0", 0, 0.99)
    busy(night, 100)
    night.swarm(max_experiments=1)
    work(night)
    assert [(t["asked"], t["state"], t["experiment"]) for t in asked(night)] == [("closing", "confirmed", step)]
    assert snapshot(night).champion == step and not night.runs("purpose = 'confirm'")
