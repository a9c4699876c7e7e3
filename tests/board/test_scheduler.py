"""What a free GPU does next: the order of DESIGN 4, limits, and that nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarm.board.board import LEASE
from swarm.board.scheduler import ASKED, FILLED, LATE
from swarm.board.trials import INTERRUPTIONS
from swarm.judge.closing import CLOSING_RUNS
from swarm.ledger.confirmations import Asker, Question, open_new
from swarm.novelty.code import code_of
from swarm.records import Claim, Duplicate, Failure, Idea, Measure, Rebase, Repair, Rest, Stop, Work
from tests.board.nights import Night, turned

MakeNight = Callable[..., Night]


def drive(night: Night, agents: list[str], value: float = 1.0, steps: int = 200) -> dict[str, str]:
    """Lets the agents work in turn, every run giving `value`, until all of them are told to stop: why, by agent."""
    ended: dict[str, str] = {}
    for _ in range(steps):
        for agent in agents:
            if agent in ended:
                continue
            night.board.renew(agent, night.fences[agent])
            match night.next(agent):
                case Measure() as work:
                    night.record(agent, work, value)
                case Rebase() as order:
                    night.rebase(agent, order)
                case Stop(reason):
                    ended[agent] = reason
                case Rest(_, seconds):
                    night.clock.tick(seconds)
        if len(ended) == len(agents):
            return ended
    raise AssertionError(f"still at work after {steps} rounds; ended: {ended}")


# -- the order -----------------------------------------------------------------------------------------------------


def test_the_baseline_runs_twice_on_every_agent_before_any_idea(make_night: MakeNight) -> None:
    night = make_night()
    night.join()
    night.draft("gpu0", 0)
    first = night.measure("gpu0")
    night.record("gpu0", first, 1.0)
    second = night.measure("gpu0")
    assert first.purpose == second.purpose == "baseline"
    assert first.experiment == second.experiment == "apr5-gpu0-0000"
    assert first.seed != second.seed
    verdict = night.record("gpu0", second, 1.001)
    assert verdict and (verdict.status, verdict.rung, verdict.n) == ("keep", "kept", 2)
    assert night.measure("gpu0").purpose == "first"
    assert night.measure("gpu1").purpose == "baseline"


def test_a_better_first_run_is_repeated_at_once_and_its_parent_with_it(night: Night) -> None:
    first = night.keep("gpu0", 0, 0.99)
    night.draft("gpu0", 1)
    seen = []
    for value in (0.9891, 0.9896, 0.9891, 0.9896):
        work = night.measure("gpu0")
        seen.append((work.purpose, work.experiment))
        night.record("gpu0", work, value)
    challenger = "apr5-gpu0-0002"
    assert ("replicate", challenger) in seen
    assert ("refresh", first) in seen
    assert seen[0] == ("first", challenger)


def test_a_first_run_that_is_not_better_is_the_last(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    verdict = night.run("gpu0", 1.0001)
    assert verdict and verdict.status == "discard"
    assert night.state(experiment) == "judged"
    assert isinstance(night.next("gpu0"), Rest)


def test_a_keep_moves_the_trunk_and_a_draft_is_rebased_onto_it(night: Night) -> None:
    waiting = night.draft("gpu1", 1)
    kept = night.keep("gpu0", 0, 0.99)
    assert night.trunk() == [None, kept]
    order = night.next("gpu1")
    assert isinstance(order, Rebase)
    assert (order.experiment, order.base, order.position) == (waiting, night.base.sha, 1)
    assert order.onto == night.row(kept)["source"]
    night.rebase("gpu1", order)
    work = night.measure("gpu1")
    assert (work.purpose, work.parent) == ("first", order.onto)
    assert b"k0 = 2" in night.board.source(work.source).files["train.py"]


def test_a_draft_that_conflicts_is_forgotten_and_a_tested_one_is_a_near_miss(make_night: MakeNight) -> None:
    night = make_night(agents=3)
    night.baselines()
    tested, drafted = night.draft("gpu0", 0, 2), night.draft("gpu1", 0, 3)
    night.run("gpu0", 0.995)
    night.keep("gpu2", 0, 0.99, setting=4)
    for agent, experiment, state in (("gpu0", tested, "judged"), ("gpu1", drafted, "abandoned")):
        order = night.next(agent)
        assert isinstance(order, Rebase) and order.experiment == experiment
        night.rebase(agent, order)
        assert night.state(experiment) == state
    assert night.row(tested)["status"] == "discard"
    assert night.row(tested)["reason"].startswith("near miss: conflicts")


def test_nothing_is_kept_that_was_not_run_on_the_newest_trunk(night: Night) -> None:
    late = night.draft("gpu1", 1)
    night.run("gpu1", 0.995)
    replicate = night.measure("gpu1")
    first = night.keep("gpu0", 0, 0.99)
    verdict = night.record("gpu1", replicate, 0.995)
    assert verdict and verdict.status is None and "the trunk moved" in verdict.reason
    assert night.state(late) == "testing"
    work = night.measure("gpu1")
    assert (work.purpose, work.parent) == ("replicate", night.row(first)["source"])
    while night.state(late) == "testing":
        night.record("gpu1", work, 0.985 if work.experiment == late else 0.99)
        work = night.measure("gpu1") if night.state(late) == "testing" else work
    assert night.trunk() == [None, first, late]
    assert night.row(late)["position"] == 2


def test_the_same_code_as_another_experiment_after_the_trunk_moved_is_given_up(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    claim = night.claim("gpu1", "both at once")
    both = night.board.source(claim.parent)
    both = type(both)({"train.py": both.files["train.py"].replace(b"k1 = 1", b"k1 = 2")})
    night.enter(claim, both)
    night.run("gpu1", 1.5)
    night.ledger.execute("UPDATE trunk SET position = 5 WHERE position = 1")
    twin = night.claim("gpu0", Idea("k1 alone", again="it may need the old k0"), position=0)
    night.enter(twin, turned(night.base, 1, 2))
    order = night.next("gpu0")
    assert isinstance(order, Rebase)
    night.rebase("gpu0", order)
    assert night.state(twin.experiment) == "abandoned"
    assert "same code as apr5-gpu1-0001 after the trunk moved" in night.row(twin.experiment)["reason"]


def test_seeds_run_from_one_for_every_code_and_fresh_ones_are_never_shared(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1)
    drive(night, ["gpu0", "gpu1"])
    seeds: dict[str, list[int]] = {}
    for run in night.runs():
        seeds.setdefault((run["source"], run["purpose"] == "closing"), []).append(run["seed"])
    for (_, fresh), own in seeds.items():
        assert sorted(own) == [(9000 if fresh else 1000) + number for number in range(1, len(own) + 1)]


# -- while ideas are late ------------------------------------------------------------------------------------------


def test_a_gpu_whose_next_idea_is_late_measures_the_leader_again_and_never_for_ever(night: Night) -> None:
    kept = night.keep("gpu0", 0, 0.99)
    assert isinstance(night.next("gpu0"), Rest), "it may come any moment"
    night.clock.tick(LATE * 100 + 1)
    for _ in range(FILLED):
        work = night.next("gpu0")
        if isinstance(work, Rest):
            break
        assert isinstance(work, Measure) and (work.purpose, work.experiment) == ("filler", kept)
        night.record("gpu0", work, 0.99)
        assert isinstance(night.next("gpu0"), Rest), "and it waits anew"
        night.clock.tick(LATE * 100 + 1)
    assert len(night.runs(f"source = '{work_source(night, kept)}'")) == FILLED
    night.draft("gpu0", 1)
    assert night.measure("gpu0").purpose == "first"


def test_a_filler_that_had_to_give_way_costs_nothing_and_goes_on_later(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    filler = fill(night, "gpu0")
    late = night.draft("gpu0", 1)
    assert night.record("gpu0", filler, Failure.INTERRUPTED) is None
    first = night.measure("gpu0")
    assert (first.purpose, first.experiment) == ("first", late)
    night.record("gpu0", first, 1.5)
    again = fill(night, "gpu0")
    assert (again.run, again.attempt, again.seed) == (filler.run, 2, filler.seed)


def fill(night: Night, agent: str) -> Measure:
    """The filler that the agent gets when its next idea has been late for long enough."""
    night.next(agent)
    night.clock.tick(LATE * 100 + 1)
    filler = night.measure(agent)
    assert filler.purpose == "filler"
    return filler


def test_a_filler_may_give_way_as_often_as_it_has_to(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    for attempt in range(1, INTERRUPTIONS + 3):
        filler = fill(night, "gpu0")
        assert filler.attempt == attempt
        night.record("gpu0", filler, Failure.INTERRUPTED)
    assert {row["state"] for row in night.runs("purpose = 'filler'")} == {"lost"}


def test_fillers_that_gave_way_are_no_tries_to_measure_the_parent(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    for _ in range(6):
        night.record("gpu0", fill(night, "gpu0"), Failure.INTERRUPTED)
    night.draft("gpu0", 1)
    for value in (0.9891, 0.9896, 0.9891):
        night.run("gpu0", value)
    assert night.measure("gpu0").purpose == "refresh"


def test_greedy_measures_nothing_twice_and_a_night_that_is_over_fills_nothing(make_night: MakeNight) -> None:
    for policy, limit in (("greedy", None), ("race", 1)):
        night = make_night(policy=policy, tag=policy, key=policy)
        night.baselines()
        night.draft("gpu0", 0)
        night.run("gpu0", 1.5)
        night.swarm(max_experiments=limit)
        for _ in range(3):
            night.clock.tick(LATE * 100 + 1)
            assert isinstance(night.next("gpu0"), Stop if limit else Rest)


def work_source(night: Night, experiment: str) -> str:
    return night.row(experiment)["source"]


# -- agents that go away -------------------------------------------------------------------------------------------


def test_an_experiment_whose_agent_is_gone_is_adopted_when_it_is_known_to_be_gone(night: Night) -> None:
    experiment = night.draft("gpu1", 0)
    night.run("gpu1", 0.99)
    lost = night.measure("gpu1")
    night.clock.tick(LEASE / 2)
    night.board.renew("gpu0", night.fences["gpu0"])
    assert isinstance(night.next("gpu0"), Rest)  # perhaps it only takes its time
    night.clock.tick(LEASE * 0.6)
    night.board.renew("gpu0", night.fences["gpu0"])
    night.board.expire()
    work = night.measure("gpu0")
    assert (work.experiment, work.run, work.attempt) == (experiment, lost.run, lost.attempt + 1)
    assert night.row(experiment)["owner"] == "gpu0" and night.row(experiment)["agent"] == "gpu1"
    night.join("gpu1")
    assert isinstance(night.next("gpu1"), Rest)  # not its own any more
    while night.state(experiment) == "testing":
        night.record("gpu0", work, 0.99)
        work = night.measure("gpu0") if night.state(experiment) == "testing" else work
    assert night.trunk()[-1] == experiment


def test_an_agent_that_leaves_hands_its_experiment_over(night: Night) -> None:
    experiment = night.draft("gpu1", 0)
    night.run("gpu1", 0.99)
    night.call("leave", "gpu1", night.fences["gpu1"])
    assert night.measure("gpu0").experiment == experiment


def test_its_own_experiment_comes_before_an_orphan(night: Night) -> None:
    orphan = night.draft("gpu1", 0)
    night.run("gpu1", 0.99)
    own = night.draft("gpu0", 1)
    night.run("gpu0", 0.99)
    night.call("leave", "gpu1", night.fences["gpu1"])
    assert night.measure("gpu0").experiment == own
    assert night.row(orphan)["owner"] == "gpu1"


def test_a_run_that_ends_every_agent_is_given_up(make_night: MakeNight) -> None:
    """Poison: whoever runs it goes away. It must not take all agents with it, one after the other."""
    night = make_night(agents=1)
    night.baselines()
    experiment = night.draft("gpu0", 0)
    for attempt in range(1, 6):
        assert night.measure("gpu0").attempt == attempt
        night.join("gpu0")
        night.clock.tick()
    assert isinstance(night.next("gpu0"), Rest)
    assert night.state(experiment) == "abandoned"
    assert night.row(experiment)["reason"] == "lost 5 times: its agent went away"
    assert night.state(night.draft("gpu0", 0)) == "drafted"  # the idea is not to blame


# -- crashes -------------------------------------------------------------------------------------------------------


def test_a_plain_crash_is_repaired_once(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    verdict = night.run("gpu0", Failure.CODE)
    assert verdict and verdict.status is None
    order = night.next("gpu0")
    assert isinstance(order, Repair)
    assert (order.experiment, order.idea.knobs, order.run.failure) == (experiment, {"k0": "2"}, "code")
    assert night.next("gpu0") == order  # an agent that died over it is asked again
    mended = type(night.base)({"train.py": night.base.files["train.py"] + b"mended = 1\n"})
    night.call("mend", "gpu0", night.fences["gpu0"], experiment, code_of(night.base, mended))
    work = night.measure("gpu0")
    assert (work.purpose, work.source, work.seed) == ("first", mended.sha, 1001)
    verdict = night.record("gpu0", work, Failure.CODE)
    assert verdict and verdict.status == "crash"
    assert (night.state(experiment), night.row(experiment)["failure"]) == ("judged", "code")


def test_while_a_crash_is_mended_its_gpu_does_what_touches_neither_it_nor_the_next_idea(night: Night) -> None:
    kept = night.keep("gpu0", 0, 0.99)
    orphan = night.draft("gpu1", 3)
    night.measure("gpu1")
    crashed = night.draft("gpu0", 1)
    night.run("gpu0", Failure.CODE)
    assert isinstance(night.next("gpu0"), Repair)
    waiting = night.draft("gpu0", 2)
    night.call("leave", "gpu1", night.fences["gpu1"])

    def meanwhile() -> Work:
        return night.call("next_work", "gpu0", night.fences["gpu0"], True)

    assert meanwhile() == Rest("mending what crashed")
    night.clock.tick(LATE * 100 + 1)
    work = meanwhile()
    assert isinstance(work, Measure) and (work.purpose, work.experiment) == ("filler", kept)
    night.record("gpu0", work, 0.99)
    question = Question(kept, work.source, "apr5-gpu0-0000", night.base.sha)
    number = open_new(night.ledger, "apr5", question, Asker.SWARM, 2, night.clock.now)
    work = meanwhile()
    assert isinstance(work, Measure) and (work.purpose, number) == ("confirm", 1)
    night.record("gpu0", work, 0.99)
    assert [night.state(name) for name in (crashed, waiting, orphan)] == ["testing", "drafted", "testing"]
    assert night.row(orphan)["owner"] == "gpu1", "one experiment at a time"
    assert isinstance(night.next("gpu0"), Repair), "an agent that died over it is asked again"


def test_when_the_time_is_up_nobody_waits_for_a_repair(night: Night) -> None:
    kept = night.keep("gpu0", 0, 0.99)
    crashed = night.draft("gpu0", 1)
    night.run("gpu0", Failure.CODE)
    assert isinstance(night.next("gpu0"), Repair)
    night.swarm(deadline=night.clock.now + 50.0)
    work = night.call("next_work", "gpu0", night.fences["gpu0"], True)
    assert isinstance(work, Measure) and (work.purpose, work.experiment) == ("closing", kept)
    assert (night.row(crashed)["status"], night.row(crashed)["failure"]) == ("crash", "code")
    before = dict(night.row(crashed))
    mended = type(night.base)({"train.py": night.base.files["train.py"] + b"mended = 1\n"})
    for late in (code_of(night.base, mended), None):
        night.call("mend", "gpu0", night.fences["gpu0"], crashed, late)
    assert dict(night.row(crashed)) == before, "too late"


def test_without_a_repair_the_crash_stands(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    night.run("gpu0", Failure.OOM)
    night.next("gpu0")
    night.call("mend", "gpu0", night.fences["gpu0"], experiment, None)
    assert (night.row(experiment)["status"], night.row(experiment)["failure"]) == ("crash", "oom")
    assert isinstance(night.claim("gpu1", Idea("again", knobs={"k0": 2})), Duplicate)


def test_a_mended_edit_that_is_known_already_lets_the_crash_stand(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    night.run("gpu0", Failure.CODE)
    night.next("gpu0")
    night.call("mend", "gpu0", night.fences["gpu0"], experiment, code_of(night.base, night.base))
    assert night.row(experiment)["status"] == "crash"


@pytest.mark.parametrize("failure", [Failure.NAN, Failure.TIMEOUT, Failure.DIVERGED, Failure.INVALID])
def test_what_is_no_plain_mistake_is_not_repaired(night: Night, failure: Failure) -> None:
    experiment = night.draft("gpu0", 0)
    verdict = night.run("gpu0", failure)
    assert verdict and verdict.status == "crash"
    assert night.row(experiment)["failure"] == failure


@pytest.mark.parametrize("failure", [Failure.INFRASTRUCTURE, Failure.STALL])
def test_a_fault_of_the_machine_is_rerun_and_the_third_ends_the_experiment_uncounted(
    night: Night, failure: Failure
) -> None:
    night.swarm(max_experiments=1)
    experiment = night.draft("gpu0", 0)
    for attempt in (1, 2, 3):
        work = night.measure("gpu0")
        assert (work.attempt, work.seed) == (attempt, 1001)
        assert night.record("gpu0", work, failure) is None
    assert night.state(experiment) == "abandoned"
    assert night.row(experiment)["reason"] == f"lost 3 times: it failed: {failure}"
    assert night.board.wants_draft("gpu0")
    assert night.state(night.draft("gpu0", 0)) == "drafted"


def test_a_replicate_lost_for_good_ends_the_experiment_on_what_it_has(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    night.run("gpu0", 0.99)
    for _ in range(3):
        night.run("gpu0", Failure.INFRASTRUCTURE)
    row = night.row(experiment)
    assert (row["state"], row["status"], row["n"]) == ("judged", "discard", 1)
    assert row["reason"].startswith("near miss: lost 3 times")


def test_interrupted_runs_are_made_again_but_not_without_end(night: Night) -> None:
    """People may stop a night many times; a training that ends its own guard must not come back for ever."""
    experiment = night.draft("gpu0", 0)
    for attempt in range(1, INTERRUPTIONS + 1):
        work = night.measure("gpu0")
        assert (work.attempt, night.state(experiment)) == (attempt, "testing")
        night.record("gpu0", work, Failure.INTERRUPTED)
    assert night.state(experiment) == "abandoned"


def test_a_parent_whose_refresh_always_crashes_does_not_hold_its_challenger(night: Night) -> None:
    parent = night.keep("gpu0", 0, 0.99)
    source = night.row(parent)["source"]
    experiment = night.draft("gpu0", 1)
    for _ in range(20):
        if night.state(experiment) == "judged":
            break
        work = night.measure("gpu0")
        # hardly better, so that the judge asks for more and more
        night.record("gpu0", work, Failure.CODE if work.source == source else 0.9893)
    assert night.state(experiment) == "judged"


@pytest.mark.parametrize("failure", [Failure.CODE, Failure.INFRASTRUCTURE, Failure.STALL, Failure.TIMEOUT])
def test_closing_runs_that_fail_end_too(night: Night, failure: Failure) -> None:
    night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1)
    for _ in range(100):
        work = night.next("gpu0")
        if isinstance(work, Stop):
            break
        assert isinstance(work, Measure) and work.purpose == "closing"
        night.record("gpu0", work, failure)
    else:
        raise AssertionError("it never ends")


# -- the baseline crashes ------------------------------------------------------------------------------------------


def test_a_baseline_that_crashes_everywhere_stops_the_swarm_with_its_traceback(make_night: MakeNight) -> None:
    night = make_night()
    night.join()
    verdict = night.run("gpu0", Failure.CODE)
    assert verdict and verdict.status == "crash"
    assert night.next("gpu0") == Rest("its baseline crashed; waiting for another agent's")
    night.run("gpu1", Failure.CODE)
    stop = night.next("gpu1")
    assert isinstance(stop, Stop)
    assert stop.reason == "the baseline crashes on every agent: it failed: code\nTraceback: boom"
    assert night.next("gpu0") == stop
    assert night.board.swarm.stop == "now" and night.board.swarm.reason == stop.reason


def test_a_baseline_that_crashes_on_one_agent_stops_nobody(make_night: MakeNight) -> None:
    night = make_night()
    night.join()
    night.run("gpu0", Failure.OOM)
    for _ in range(2):
        night.run("gpu1", 1.0)
    night.draft("gpu0", 0)
    assert night.measure("gpu0").purpose == "first"


def test_nobody_waits_for_the_baseline_of_an_agent_that_is_gone(make_night: MakeNight) -> None:
    night = make_night(agents=3)
    night.join("gpu0", "gpu1")  # gpu2 never comes
    night.run("gpu0", Failure.CODE)
    night.measure("gpu1")
    assert isinstance(night.next("gpu0"), Rest)
    night.clock.tick(LEASE + 1)
    night.board.renew("gpu0", night.fences["gpu0"])
    night.board.expire()
    stop = night.next("gpu0")
    assert isinstance(stop, Stop) and "crashes on every agent" in stop.reason


def test_a_baseline_lost_to_the_machine_three_times_counts_as_crashed(make_night: MakeNight) -> None:
    night = make_night(agents=1)
    night.join()
    for _ in range(3):
        night.run("gpu0", Failure.INFRASTRUCTURE)
    stop = night.next("gpu0")
    assert isinstance(stop, Stop) and "lost 3 times: it failed: infrastructure" in stop.reason


# -- limits --------------------------------------------------------------------------------------------------------


def test_exactly_so_many_experiments_are_judged(night: Night) -> None:
    night.swarm(max_experiments=3)
    night.draft("gpu0", 0)
    night.draft("gpu1", 1)
    last = night.claim("gpu0", Idea("the third"))
    assert isinstance(last, Claim)
    assert not night.board.wants_draft("gpu1")
    assert night.claim("gpu1", Idea("the fourth")) == Stop("3 experiments done")
    night.call("release", last, "no edit")
    assert night.board.wants_draft("gpu1") is False  # it has a draft already
    night.run("gpu1", 1.5)
    night.draft("gpu1", 2)
    night.run("gpu0", 1.5)
    assert isinstance(night.claim("gpu0", Idea("the fourth")), Stop)
    ended = drive(night, ["gpu0", "gpu1"], value=1.5)
    assert set(ended.values()) == {"3 experiments done"}
    judged = night.ledger.value("SELECT count(*) FROM experiments WHERE state = 'judged' AND baseline = 0")
    assert judged == 3


def test_a_limit_that_is_reached_before_anything_ran_starts_nothing(make_night: MakeNight) -> None:
    night = make_night(agents=1, deadline=1_000_000.0 + 50.0)  # half a run
    night.join()
    assert night.next("gpu0") == Stop("time is up")
    assert night.runs() == []


def test_time_is_kept_for_the_closing_wave_and_nothing_starts_after_the_deadline(make_night: MakeNight) -> None:
    night = make_night(agents=2)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    wave = 10.0 * 2 * 4 / 2  # four closing runs of each code of ten seconds, by two agents
    night.swarm(deadline=night.clock.now + wave + 15.0)
    night.draft("gpu0", 1)
    night.draft("gpu1", 2)
    assert night.measure("gpu0").purpose == "first"  # another run fits before the wave must begin
    night.clock.tick(5.0)
    work = night.measure("gpu1")
    assert work.purpose == "closing"
    assert not night.board.wants_draft("gpu1")
    assert isinstance(night.claim("gpu1", Idea("too late")), Stop)
    night.swarm(deadline=night.clock.now)
    assert night.next("gpu1") == Rest("waiting for the last experiments")
    night.next("gpu0")
    assert night.next("gpu1") == Stop("time is up")


def test_many_agents_that_rest_do_not_flood_the_board(make_night: MakeNight) -> None:
    night = make_night(agents=3 * int(ASKED))
    night.join()
    night.run("gpu0", 1.0)
    night.run("gpu0", 1.001)
    assert night.next("gpu0") == Rest("thinking about the next idea", 3.0)


def test_what_is_still_tested_when_the_time_is_up_ends_as_a_near_miss(night: Night) -> None:
    experiment, unseen = night.draft("gpu0", 1), night.draft("gpu1", 2)
    night.run("gpu0", 0.99)
    night.measure("gpu1")
    night.swarm(deadline=night.clock.now + 5.0)
    assert night.next("gpu0") == Rest("waiting for the last experiments")
    row = night.row(experiment)
    assert (row["status"], row["reason"]) == ("discard", "near miss: the time was up")
    assert night.next("gpu1") == Stop("time is up")
    assert night.state(unseen) == "abandoned"


def test_the_closing_wave_measures_champion_and_baseline_alike_and_crowns(night: Night) -> None:
    champion = night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1)
    ended = drive_with_truth(night, ["gpu0", "gpu1"])
    assert set(ended.values()) == {"1 experiment done"}
    closing = night.runs("purpose = 'closing'")
    by_source = {source: sum(run["source"] == source for run in closing) for source in {r["source"] for r in closing}}
    assert set(by_source.values()) == {4} and len(by_source) == 2
    pairs = [(run["agent"], run["source"]) for run in closing]
    assert all(pairs.count(pair) == 2 for pair in pairs), "each GPU measures both alike, so that its offset cancels"
    assert night.row(champion)["rung"] == "champion"
    crowned = night.ledger.rows("SELECT * FROM events WHERE kind = 'champion'")
    assert len(crowned) == 1 and crowned[0]["experiment"] == champion


def drive_with_truth(night: Night, agents: list[str]) -> dict[str, str]:
    """As `drive`, with runs of the baseline at 1.0 and of everything else at 0.99, give or take a little."""
    ended: dict[str, str] = {}
    for step in range(200):
        for agent in [agent for agent in agents if agent not in ended]:
            work: Work = night.next(agent)
            if isinstance(work, Stop):
                ended[agent] = work.reason
            elif isinstance(work, Measure):
                truth = 1.0 if work.source == night.base.sha else 0.99
                night.record(agent, work, truth + 0.0003 * (-1) ** step)
        if len(ended) == len(agents):
            return ended
    raise AssertionError("it never ends")


def test_the_closing_wave_is_shared_by_everybody_and_done_by_who_is_left(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1)
    lost = night.measure("gpu1")
    assert lost.purpose == "closing"
    night.call("leave", "gpu1", night.fences["gpu1"])
    purposes = []
    while not isinstance(work := night.next("gpu0"), Stop):
        assert isinstance(work, Measure)
        purposes.append((work.run, work.attempt))
        night.record("gpu0", work, 0.99)
    assert (lost.run, 2) in purposes
    assert len(purposes) == 8


def test_a_long_night_closes_with_more_runs(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    for number in range(100):
        night.draft("gpu0", 3, number + 10)
        night.run("gpu0", 1.5)
    night.swarm(max_experiments=1)
    drive(night, ["gpu0", "gpu1"])
    assert len(night.runs("purpose = 'closing'")) == 2 * CLOSING_RUNS


def test_nobody_leaves_while_something_is_tested_that_may_need_them(night: Night) -> None:
    night.swarm(max_experiments=1)
    experiment = night.draft("gpu0", 0)
    work = night.measure("gpu0")
    assert night.next("gpu1") == Rest("waiting for the last experiments")
    night.record("gpu0", work, 0.99)
    night.call("leave", "gpu0", night.fences["gpu0"])
    assert night.measure("gpu1").experiment == experiment


def test_while_the_last_experiments_are_tested_the_baseline_is_measured(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=2)
    night.draft("gpu0", 1)
    night.measure("gpu0")
    sources = set()
    while isinstance(work := night.next("gpu1"), Measure):
        sources.add(work.source)
        night.record("gpu1", work, 1.0)
    assert sources == {night.base.sha}
    assert work == Rest("waiting for the last experiments")


# -- stopping and coming back --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "reason"), [("drain", "drained"), ("now", "stopped")])
def test_a_stopped_swarm_goes_on_where_it_was(night: Night, word: str, reason: str) -> None:
    experiment, waiting = night.draft("gpu0", 0), night.draft("gpu1", 1)
    night.run("gpu0", 0.99)
    night.board.stop(word)
    for agent in night.agents:
        assert night.next(agent) == Stop(reason)
        night.call("leave", agent, night.fences[agent])
    night.board.end("stopped", reason)
    night.swarm(stop="", reason="", ended=None, status="running")
    night.restart()
    night.join()
    work = night.measure("gpu0")
    assert (work.experiment, work.purpose) == (experiment, "replicate")
    assert night.measure("gpu1").experiment == waiting


def test_a_plateau_is_told(night: Night) -> None:
    assert not night.board.briefing("gpu0").plateau
    for number in range(150):
        night.draft("gpu0", 3, number + 10)
        night.run("gpu0", 1.5)
    assert night.board.briefing("gpu0").plateau
