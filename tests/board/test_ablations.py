"""The ablation at a swarm's end on the real board, with real merges: what is null goes, what matters stays.

python -m pytest tests/board/test_ablations.py
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from swarm.agent.leave_out import LineCode, leave_out
from swarm.ledger.ablations import AblationAsker, AblationState, codes_of, newest, open_ablation, steps_of
from swarm.ledger.rows import AblationRow
from swarm.records import Failure, LeaveOut, Measure, Rest, Run, Source, Stop
from swarm.snapshot.ablation import leaders_ablation
from swarm.wording.ablation import verdict
from tests.board.nights import Night

MakeNight = Callable[..., Night]
GAINS = {0: 0.006, 1: 0.0, 2: 0.005, 3: 0.0}  # what each knob is worth once it is turned
SIGMA = 0.001


def truth(source: Source) -> float:
    """The metric that the code reaches on average."""
    text = source.files["train.py"].decode()
    return 1.0 - sum(gain for knob, gain in GAINS.items() if f"k{knob} = 1\n" not in text)


def measured(night: Night, work: Measure) -> float:
    return truth(night.board.source(work.source)) + 0.3 * SIGMA * random.Random(f"{work.source} {work.seed}").gauss()


def carried(make_night: MakeNight, **columns: Any) -> Night:
    """A swarm whose trunk has four steps, of which two are luck, and whose experiments are done."""
    night = make_night(**{"agents": 1, "policy": "carry", "settings": '{"ablation": true}'} | columns)
    night.baselines()
    level = 1.0
    for knob, gain in GAINS.items():
        level -= gain or 0.0015
        night.draft("gpu0", knob)
        night.run("gpu0", level)
    assert len(night.trunk()) == 1 + len(GAINS), night.trunk()
    night.swarm(max_experiments=4, measured=300, measured_seconds=3000.0)  # as after many discarded ideas
    return night


def answer(night: Night, agent: str, work: LeaveOut) -> None:
    line = [LineCode(name, night.board.source(before), night.board.source(after)) for name, before, after in work.line]
    made, steps = leave_out(line, work.wanted)
    for _ in range(2):  # its acknowledgement was lost
        night.call("left_out", agent, night.fences[agent], work, made, steps, "", request=f"left out {work}")


def until_the_end(
    night: Night, agent: str = "gpu0", crash: Callable[[Source], bool] = lambda source: False
) -> list[Measure]:
    """All work until the swarm ends; gives the ablation's runs."""
    made: list[Measure] = []
    for _ in range(400):
        match work := night.next(agent):
            case Stop():
                return made
            case LeaveOut():
                answer(night, agent, work)
            case Measure():
                made += [work] if work.purpose == "ablate" else []
                failed = work.purpose == "ablate" and crash(night.board.source(work.source))
                night.record(agent, work, Failure.CODE if failed else measured(night, work))
            case _:
                raise AssertionError(work)
    raise AssertionError("it never ends")


def ended(night: Night) -> AblationRow:
    row = newest(night.ledger, night.tag, AblationState.ENDED)
    assert row is not None
    return row


def table(night: Night) -> dict[str, bool]:
    """Which knobs are left out."""
    titles = {row["id"]: row["title"][:2] for row in night.ledger.rows("SELECT id, title FROM experiments")}
    return {titles[step.experiment]: step.dropped for step in steps_of(night.ledger, ended(night).id)}


def test_what_is_null_goes_and_what_matters_stays(make_night: MakeNight) -> None:
    night = carried(make_night)
    made = until_the_end(night)
    assert table(night) == {"k0": False, "k1": True, "k2": False, "k3": True}
    row = ended(night)
    assert row.verified and row.pairs == 4 and row.minimal
    minimal = night.board.source(row.minimal).files["train.py"].decode()
    assert [knob for knob in GAINS if f"k{knob} = 2" in minimal] == [0, 2]
    assert len(made) <= 0.1 * night.board.swarm.measured
    for step in steps_of(night.ledger, row.id):
        assert step.runs == 2 and step.low is not None and step.low <= (step.gain or 0.0)
    told = [line["text"] for line in night.ledger.rows("SELECT text FROM events WHERE kind = 'ablation'")]
    assert len(told) == 2 and "2 of 4 steps can go" in told[-1]


CHECKED = '{"ablation": true, "checks": ["pytest -q"]}'
FAILED = "guard: pytest -q failed (exit 1): 1 failed, 6 passed in 0.31s"


def until_the_end_with_checks(night: Night, fails: Callable[[Source], bool]) -> list[tuple[str, str]]:
    """All work until the swarm ends; gives (purpose, source) of the ablation's runs and checks."""
    made: list[tuple[str, str]] = []
    for _ in range(400):
        match work := night.next("gpu0"):
            case Stop():
                return made
            case LeaveOut():
                answer(night, "gpu0", work)
            case Measure(purpose="check"):
                made.append((work.purpose, work.source))
                night.clock.tick(10.0)
                failed = fails(night.board.source(work.source))
                failure, reason = (Failure.CHECKS, FAILED) if failed else (None, "")
                run = Run(work.run, work.attempt, night.clock.now, 10.0, 0.0, failure=failure, reason=reason)
                night.call("record", "gpu0", night.fences["gpu0"], run)
            case Measure():
                made += [(work.purpose, work.source)] if work.purpose == "ablate" else []
                night.record("gpu0", work, measured(night, work))
            case _:
                raise AssertionError(work)
    raise AssertionError("it never ends")


def test_the_minimal_code_passes_the_projects_checks_before_its_fresh_runs(make_night: MakeNight) -> None:
    night = carried(make_night)
    night.swarm(settings=CHECKED)
    verdicts = [dict(row) for row in night.ledger.rows("SELECT id, status, judged FROM experiments WHERE baseline = 0")]
    made = until_the_end_with_checks(night, lambda source: False)
    row = ended(night)
    assert row.verified and ("check", row.minimal) in made
    after = made[made.index(("check", row.minimal or "")) + 1 :]
    assert after.count(("ablate", row.minimal or "")) == 4, "its fresh runs come after"
    checked = {source for purpose, source in made if purpose == "check"}
    assert checked == {row.minimal}, "and nothing else is checked"
    assert [
        dict(row) for row in night.ledger.rows("SELECT id, status, judged FROM experiments WHERE baseline = 0")
    ] == verdicts


def test_what_fails_the_checks_is_not_offered_and_less_is_left_out(make_night: MakeNight) -> None:
    """Without both weak steps the checks fail; without one of them they pass."""
    night = carried(make_night)
    night.swarm(settings=CHECKED)
    weak = (b"k1 = 1\n", b"k3 = 1\n")
    made = until_the_end_with_checks(night, lambda source: all(knob in source.files["train.py"] for knob in weak))
    row = ended(night)
    assert row.verified and row.minimal and sum(table(night).values()) == 1
    assert [source for purpose, source in made if purpose == "check"][-1] == row.minimal
    told = [line["text"] for line in night.ledger.rows("SELECT text FROM events WHERE kind = 'ablation'")]
    assert any("fewer steps can go" in text and FAILED in text for text in told)


def test_where_all_fail_the_checks_every_step_stays(make_night: MakeNight) -> None:
    night = carried(make_night)
    night.swarm(settings=CHECKED)
    made = until_the_end_with_checks(night, lambda source: True)
    row = ended(night)
    assert not row.minimal and not row.verified and not any(table(night).values())
    assert all(made.count(one) == 1 for one in made if one[0] == "check"), "no code is checked again"


def test_checks_whose_machine_always_fails_end_the_try_and_no_experiment(make_night: MakeNight) -> None:
    night = carried(make_night)
    night.swarm(settings=CHECKED)
    for _ in range(400):
        work = night.next("gpu0")
        if isinstance(work, Stop):
            break
        if isinstance(work, LeaveOut):
            answer(night, "gpu0", work)
            continue
        assert isinstance(work, Measure)
        night.record("gpu0", work, Failure.INFRASTRUCTURE if work.purpose == "check" else measured(night, work))
    assert isinstance(work, Stop) and not ended(night).verified and not any(table(night).values())
    rows = night.ledger.rows("SELECT status FROM experiments WHERE baseline = 0")
    assert [row["status"] for row in rows] == ["keep"] * len(GAINS)


def test_a_step_of_which_nothing_is_left_is_neither_run_nor_dropped(make_night: MakeNight) -> None:
    """A later step has taken it back: the code without it is the full code."""
    night = make_night(agents=1, policy="carry", settings='{"ablation": true}')
    night.baselines()
    for knob, setting, level in ((0, 2, 0.994), (1, 2, 0.99), (2, 2, 0.986), (1, 1, 0.98)):
        night.draft("gpu0", knob, setting)
        night.run("gpu0", level)
    assert len(night.trunk()) == 5
    night.swarm(max_experiments=4, measured=300, measured_seconds=3000.0)
    until_the_end(night)
    row = ended(night)
    undone = steps_of(night.ledger, row.id)[1]
    assert undone.experiment == night.trunk()[2] and not undone.dropped and undone.runs == 0 and undone.gain is None
    view = leaders_ablation(night.ledger, night.board.swarm, {})
    assert view and [step.undone for step in view.steps] == [False, True, False, False]
    assert verdict(view.steps[1]) == "nothing of it is left"


def test_its_runs_are_beside_those_of_the_closing_wave(make_night: MakeNight) -> None:
    night = carried(make_night)
    made = until_the_end(night)
    closing = {run["seed"] for run in night.runs("purpose = 'closing'")}
    assert {work.seed for work in made if work.source != ended(night).source} & closing
    first = [work.seed for work in made][:2]
    assert first == [9001, 9002]


def test_a_swarm_that_is_killed_goes_on_with_the_very_same(make_night: MakeNight) -> None:
    """After every step the board's process dies; once with a run under way, which is made again."""
    whole = carried(make_night)
    expected = [(work.source, work.seed) for work in until_the_end(whole)]
    told = [_plain(step) for step in steps_of(whole.ledger, ended(whole).id)]
    night = carried(make_night, tag="apr6", key="another")
    made, killed = list[tuple[str, int]](), False
    for _ in range(400):
        night.restart()
        night.join()
        work = night.next("gpu0")
        if isinstance(work, Stop):
            break
        if isinstance(work, LeaveOut):
            answer(night, "gpu0", work)
            continue
        assert isinstance(work, Measure)
        if work.purpose == "ablate" and len(made) == 3 and not killed:
            killed = True
            continue
        made += [(work.source, work.seed)] if work.purpose == "ablate" else []
        night.record("gpu0", work, measured(night, work))
    assert killed and made == expected
    assert [_plain(step) for step in steps_of(night.ledger, ended(night).id)] == told


def _plain(step: Any) -> tuple[object, ...]:
    return step.place, step.x, step.s, step.gain, step.low, step.high, step.runs, step.dropped


def test_without_the_setting_there_is_none(make_night: MakeNight) -> None:
    night = carried(make_night, settings='{"ablation": false}')
    assert until_the_end(night) == [] and newest(night.ledger, night.tag, AblationState.ENDED) is None


def test_a_short_swarm_makes_none(make_night: MakeNight) -> None:
    night = make_night(agents=1, policy="carry", settings='{"ablation": true}')
    night.baselines()
    night.draft("gpu0", 0)
    night.run("gpu0", 0.99)
    night.swarm(max_experiments=1)
    assert until_the_end(night) == []


def test_code_that_crashes_without_a_step_keeps_it(make_night: MakeNight) -> None:
    night = carried(make_night)
    until_the_end(night, crash=lambda source: b"k1 = 1\n" in source.files["train.py"])
    assert table(night) == {"k0": False, "k1": False, "k2": False, "k3": True}


def test_others_wait_for_the_last_runs_and_then_stop(make_night: MakeNight) -> None:
    night = carried(make_night, agents=2)
    night.join()
    rested, under_way = False, list[tuple[str, Measure]]()
    for turn in range(600):
        agent = night.agents[turn % 2]
        if any(busy == agent for busy, _ in under_way):
            busy, work = under_way.pop(0)
            night.record(busy, work, measured(night, work))
            continue
        match work := night.next(agent):
            case LeaveOut():
                answer(night, agent, work)
            case Measure():
                under_way.append((agent, work))
            case Rest():
                rested = True
                night.clock.tick()
            case Stop():
                break
    assert rested and table(night) == {"k0": False, "k1": True, "k2": False, "k3": True}


def test_no_run_begins_that_would_end_after_the_deadline(make_night: MakeNight) -> None:
    night = carried(make_night)
    while open_ablation(night.ledger, night.tag, AblationAsker.SWARM) is None:
        work = night.next("gpu0")
        if isinstance(work, Measure):
            night.record("gpu0", work, measured(night, work))
    night.swarm(deadline=night.clock.now + 35)
    made = until_the_end(night)
    assert 1 <= len(made) <= 3
    row = ended(night)
    assert not row.verified and codes_of(night.ledger, row.id)


def test_at_the_deadline_it_waits_for_the_runs_that_others_still_make(make_night: MakeNight) -> None:
    night = carried(make_night, agents=2)
    night.join()
    under_way = dict[str, Measure]()
    for turn in range(200):
        agent = night.agents[turn % 2]
        if agent in under_way:
            continue
        match work := night.next(agent):
            case LeaveOut():
                answer(night, agent, work)
            case Measure() if work.purpose == "ablate":
                under_way[agent] = work
            case Measure():
                night.record(agent, work, measured(night, work))
            case _:
                night.clock.tick()
        if len(under_way) == 2:
            break
    night.swarm(deadline=night.clock.now + 5)
    first, second = night.agents
    night.record(first, under_way[first], measured(night, under_way[first]))
    assert isinstance(night.next(first), Rest)
    assert open_ablation(night.ledger, night.tag, AblationAsker.SWARM)
    night.record(second, under_way[second], measured(night, under_way[second]))
    assert isinstance(night.next(second), Stop) and isinstance(night.next(first), Stop)
    assert sum(step.runs for step in steps_of(night.ledger, ended(night).id)) == 2


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_time_is_kept_for_it(make_night: MakeNight, direction: str) -> None:
    """Under a time limit ideas end early enough, and it takes at most a tenth of the runs."""
    night = make_night(
        agents=1, policy="carry", settings='{"ablation": true}', deadline=1_000_000.0 + 2_000, direction=direction
    )
    sign = 1 if direction == "lower" else -1
    night.baselines(value=1.0)
    level = 1.0
    for knob, gain in GAINS.items():
        level -= sign * (gain or 0.0015)
        night.draft("gpu0", knob)
        night.run("gpu0", level)
    made, others, chance = list[Measure](), 0, random.Random(7)
    for number in range(400):
        if night.board.wants_draft("gpu0"):
            night.draft("gpu0", 4 + number % 8, number + 3)
        work = night.next("gpu0")
        if isinstance(work, Stop):
            break
        if isinstance(work, LeaveOut):
            answer(night, "gpu0", work)
            continue
        assert isinstance(work, Measure), work
        made += [work] if work.purpose == "ablate" else []
        others += work.purpose != "ablate"
        true = truth(night.board.source(work.source))
        value = level + sign * 0.004 * chance.expovariate(1) if work.purpose == "first" else 1.0 - sign * (1.0 - true)
        night.record("gpu0", work, value)
    assert 6 <= len(made) <= 0.1 * others + 1
    assert night.clock.now <= 1_000_000.0 + 2_010
    assert table(night)["k0"] is False, "six sigmas matter"
