"""From a run to a verdict: what counts as evidence, and what the trunk takes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from swarm.board.notifications import NotificationFeed
from swarm.codec import decode, encode
from swarm.judge.race import STANDARD
from swarm.ledger.experiments import experiment
from swarm.ledger.measurements import noise
from swarm.ledger.runs import begin
from swarm.records import (
    Check,
    Claim,
    Duplicate,
    Failure,
    Idea,
    Metrics,
    Purpose,
    Run,
    Source,
    Status,
    Verdict,
)
from swarm.snapshot.build import Picture
from swarm.wording.verdict_text import verdict_text
from tests.board.nights import Night, finished

MakeNight = Callable[..., Night]


def test_the_first_wave_gives_sigma(make_night: MakeNight) -> None:
    night = make_night(sigma_prior=None)
    night.join()
    assert night.board.swarm.sigma is None
    for value in (1.0, 1.002):
        night.run("gpu0", value)
    assert night.board.swarm.sigma == pytest.approx(math.sqrt(2) * 0.001)


def test_gpu_offsets_are_taken_out(make_night: MakeNight) -> None:
    """A GPU that measures everything higher does not make its agent's ideas look worse."""
    night = make_night(sigma_prior=0.001)
    night.join()
    for agent, shift in (("gpu0", 0.0), ("gpu1", 0.004)):
        for value in (0.9995, 1.0005):
            night.run(agent, value + shift)
    offsets = noise(night.transaction()).offsets
    assert offsets["gpu1"] > 0 > offsets["gpu0"]
    night.draft("gpu1", 0)
    verdict = night.run("gpu1", 1.0035)  # above the baseline's mean over both, below gpu1's own
    assert verdict and verdict.gain and verdict.gain > -0.0015 - 0.001


def clocked(night: Night, before: float, after: float) -> Verdict | None:
    """The next run of the first agent, better than its parent, with the seconds that were counted beside its clock."""
    run = finished(night.measure("gpu0"), 0.9, night.clock.now)
    values = {"seconds_before": before, "seconds_after": after, "seconds_of": "CPU, control group", "compiled": 0}
    run = replace(run, metrics=Metrics(0.9, audited=True, values=values))
    return night.call("record", "gpu0", night.fences["gpu0"], run)


@pytest.mark.parametrize(("before", "after", "refused"), [(4.0, 0.4, ""), (40.0, 0.2, "before"), (2.0, 30.0, "after")])
def test_what_spent_clearly_more_beside_its_clock_than_its_parent_is_invalid(
    make_night: MakeNight, before: float, after: float, refused: str
) -> None:
    night = make_night(policy="greedy")
    night.join()
    for _ in range(2):
        clocked(night, 2.0, 0.2)
    night.draft("gpu0", 0)
    verdict = clocked(night, before, after)
    assert verdict and (verdict.status is Status.CRASH) is bool(refused)
    if refused:
        [row] = night.runs("purpose = 'first'")
        assert (row["failure"], decode(row["result"]).check) == (Failure.INVALID, Check.CLOCK)
        assert verdict.reason.startswith("clock: it spent ") and refused in verdict.reason


def test_greedy_keeps_after_one_run(make_night: MakeNight) -> None:
    night = make_night(policy="greedy")
    night.baselines()
    night.draft("gpu0", 0)
    verdict = night.run("gpu0", 0.9999)
    assert verdict and (verdict.status, verdict.n) == (Status.KEEP, 1)
    assert night.trunk() == [None, "apr5-gpu0-0001"]


def test_at_most_so_many_runs_then_it_is_a_near_miss(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    while night.state(experiment) != "judged":
        night.run("gpu0", 0.99955)
    row = night.row(experiment)
    assert (row["status"], row["n"]) == ("discard", STANDARD.max_runs)
    assert night.ledger.value("SELECT kind FROM events WHERE experiment = ?", experiment) == "near miss"


def test_a_gain_that_no_honest_edit_makes_is_held_and_somebody_is_told(night: Night) -> None:
    feed = NotificationFeed(night.ledger, night.transaction().tag)
    experiment = night.draft("gpu0", 0)
    while night.state(experiment) != "judged":
        night.run("gpu0", 0.4)
    row = night.row(experiment)
    assert (row["status"], row["outcome"], row["rung"]) == ("discard", "held", "seen")
    assert night.trunk() == [None], "nothing is built on it"
    told = [(news.kind, news.experiment) for news in feed.look()]
    assert told == [("held", experiment)]
    view = Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now).experiments[-1]
    assert verdict_text(view, 0.001).startswith("Held for a person: ")


def test_a_metric_that_is_no_number_is_a_crash_and_never_evidence(night: Night) -> None:
    night.draft("gpu0", 0)
    work = night.measure("gpu0")
    run = Run(work.run, work.attempt, 0.0, 1.0, 1.0, metrics=Metrics(math.nan, True), trace=(1.0, math.inf))
    verdict = night.call("record", "gpu0", night.fences["gpu0"], run)
    assert verdict.status == "crash"
    row = night.runs(f"id = '{work.run}'")[0]
    assert (row["state"], row["failure"], row["value"]) == ("crashed", "nan", None)


def test_a_run_nobody_started_is_ignored(night: Night) -> None:
    run = Run("apr5-gpu0-0099.1", 1, 0.0, 1.0, 1.0, metrics=Metrics(0.1, True))
    before = night.runs()
    assert night.call("record", "gpu0", night.fences["gpu0"], run) is None
    assert night.runs() == before


def test_gpu_time_is_counted_also_for_what_failed(night: Night) -> None:
    before = night.ledger.value("SELECT seconds FROM agents WHERE agent = 'gpu0'")
    night.draft("gpu0", 0)
    night.run("gpu0", Failure.TIMEOUT)
    assert night.ledger.value("SELECT seconds FROM agents WHERE agent = 'gpu0'") == before + 10.0


def test_evidence_of_an_edit_before_and_after_the_trunk_moved_adds_up(night: Night) -> None:
    experiment = night.draft("gpu1", 1)
    night.run("gpu1", 0.9985)
    night.keep("gpu0", 0, 0.99)
    verdict = night.run("gpu1", 0.9885)
    assert verdict and verdict.n == 2 and verdict.gain == pytest.approx(0.0015, abs=3e-4)
    assert night.row(experiment)["position"] == (2 if verdict.status == "keep" else 1)


def test_an_edit_that_changes_no_loss_did_nothing(night: Night) -> None:
    """Its whole trace is its parent's on the same seed; then the luckiest value keeps nothing."""
    trace = (3.0, 2.5, 2.25, 2.0)
    for run in night.runs("purpose = 'baseline'"):
        result = replace(decode(run["result"]), trace=trace)
        night.ledger.execute("UPDATE runs SET result = ? WHERE id = ?", encode(result), run["id"])
    for number, (shown, reason) in enumerate(
        (((*trace[:3], 2.1), "better"), ((*trace, 1.9), "better"), (trace, "no-op: its losses are its parent's"))
    ):
        night.draft("gpu0", number)
        work = night.measure("gpu0")
        verdict = night.record("gpu0", work, 0.9, trace=shown)
        assert verdict and (reason in verdict.reason or verdict.status is None)
        assert (verdict.status == Status.DISCARD) == (shown == trace)
        if verdict.status is None:
            night.ledger.execute("UPDATE experiments SET state = 'abandoned' WHERE id = ?", work.experiment)
    told = night.claim("gpu1", Idea("k2 -> 2", knobs={"k2": 2}))
    assert isinstance(told, Duplicate) and "no-op" in told.explanation
    assert isinstance(night.claim("gpu1", Idea("k2 -> 2", knobs={"k2": 2}, again="now wired in")), Claim)


def test_less_code_of_no_effect_is_not_refused_for_having_none(night: Night) -> None:
    trace = (3.0, 2.5, 2.25)
    for run in night.runs("purpose = 'baseline'"):
        result = replace(decode(run["result"]), trace=trace)
        night.ledger.execute("UPDATE runs SET result = ? WHERE id = ?", encode(result), run["id"])
    claim = night.claim("gpu0", "without the last knob")
    night.enter(claim, Source({"train.py": night.base.files["train.py"].replace(b"k11 = 1", b"")}))
    verdict = night.record("gpu0", night.measure("gpu0"), 0.9999, trace=trace)
    assert verdict and verdict.status is None


def test_a_large_gain_that_its_own_code_printed_is_kept_and_marked(make_night: MakeNight) -> None:
    night = make_night()
    night.baselines()
    experiment = night.draft("gpu0", 0)
    while night.state(experiment) != "judged":
        work = night.measure("gpu0")
        value = 0.8 if work.source != night.base.sha else 1.0
        run = Run(work.run, work.attempt, 0.0, 1.0, 1.0, metrics=Metrics(value, audited=False))
        night.call("record", "gpu0", night.fences["gpu0"], run)
    row = night.row(experiment)
    assert row["status"] == "keep" and row["reason"].startswith("large, unaudited: gain 0.2")
    assert night.row(night.keep("gpu1", 1, 0.7))["outcome"] == "gained", "the referee's word is believed"


def test_edits_that_all_land_together_are_warned_of_once(night: Night) -> None:
    for number in range(30):
        night.draft("gpu0", 3, number + 10)
        night.run("gpu0", 1.0002 + 0.0001 * (number % 3))
    warnings = night.ledger.rows("SELECT text FROM events WHERE kind = 'warning'")
    assert len(warnings) == 1 and "the last 12 different edits" in warnings[0]["text"]
    assert Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now).saturated
    night.draft("gpu0", 4)
    night.run("gpu0", 1.5)
    assert not Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now).saturated


@pytest.mark.parametrize(
    ("settings", "policy", "runs"),
    [
        ("{}", "race", 3),
        ('{"outlier_gain": null}', "race", 3),
        ('{"outlier_gain": 0.05}', "race", 2),
        ('{"outlier_gain": 0.05}', "race:outlier_gain=0.001", 3),
    ],
)
def test_how_much_one_step_may_gain_is_the_projects_to_say(
    make_night: MakeNight, settings: str, policy: str, runs: int
) -> None:
    night = make_night(settings=settings, policy=policy)
    night.baselines()
    assert night.row(night.keep("gpu0", 0, 0.98))["n"] == runs, "twenty sigmas"


def stepped(night: Night, agent: str, value: float, steps: float) -> tuple[Run, Verdict | None]:
    """The agent's next run, which made so many steps."""
    work = night.measure(agent)
    metrics = Metrics(value, audited=True, values={"num_steps": steps})
    run = Run(work.run, work.attempt, night.clock.now, 10.0, 9.0, metrics=metrics)
    return run, night.call("record", agent, night.fences[agent], run)


def test_a_repeat_that_something_slowed_down_is_made_again_and_at_last_believed(make_night: MakeNight) -> None:
    night = make_night(agents=3)
    night.join()
    for agent in night.agents:
        for steps in (1000, 1001):
            stepped(night, agent, 1.0, steps)
    experiment = night.draft("gpu0", 0)
    stepped(night, "gpu0", 0.99, 700)  # its own affair
    slowed, verdict = stepped(night, "gpu0", 1.01, 600)
    assert verdict is None and night.state(experiment) == "testing"
    (lost,) = night.runs("state = 'lost'")
    assert (lost["id"], lost["failure"], lost["value"]) == (slowed.run, "contention", None)
    again, verdict = stepped(night, "gpu0", 0.99, 699)
    assert (again.run, again.attempt) == (slowed.run, 2)
    assert verdict and verdict.n == 2
    night.draft("gpu1", 1)
    stepped(night, "gpu1", 0.99, 700)
    stepped(night, "gpu1", 0.99, 600)
    assert len(night.runs("state = 'lost'")) == 1, "few runs pay for one such rerun"


def test_a_gpu_that_is_always_a_little_slower_is_not_disturbed(make_night: MakeNight) -> None:
    night = make_night(agents=4)
    night.join()
    for agent, steps in (("gpu0", 1000), ("gpu1", 1000), ("gpu2", 1000), ("gpu3", 980)):
        for more in (0, 1):
            stepped(night, agent, 1.0, steps + more)
    assert not night.runs("state = 'lost'")


def passes_time(night: Night, agent: str, source: str, steps: float) -> int:
    """A run of that code on the agent's GPU, for whatever reason. How many runs were lost until now."""
    baseline, lease = experiment(night.ledger, f"{night.tag}-gpu0-0000"), night.fences[agent]
    now = night.clock.now
    work = begin(night.transaction(), agent, lease, baseline, Purpose.FILLER, source)
    metrics = Metrics(1.0, audited=True, values={"num_steps": steps})
    night.call("record", agent, lease, Run(work.run, work.attempt, now, 10.0, 9.0, metrics=metrics))
    return len(night.runs("state = 'lost'"))


@pytest.mark.parametrize(("codes", "steps", "lost"), [(6, 940, 1), (6, 978, 0), (1, 940, 0)])
def test_a_codes_first_run_on_a_gpu_is_held_against_other_gpus(
    make_night: MakeNight, codes: int, steps: float, lost: int
) -> None:
    """Over the codes that this GPU and others ran: it is always 2% slower than they are."""
    night = make_night(agents=2)
    night.join()
    for agent, made in (("gpu0", 1000), ("gpu1", 980)):
        for more in (0, 1):
            stepped(night, agent, 1.0, made + more)
    for code in range(1, codes):
        assert passes_time(night, "gpu0", f"code{code}", 1000 * code) == 0
        assert passes_time(night, "gpu1", f"code{code}", 980 * code + code % 2) == 0
    assert passes_time(night, "gpu0", "new", 1000) == 0
    assert passes_time(night, "gpu1", "new", steps) == lost


def test_a_closing_run_that_could_not_be_made_again_in_time_is_believed(make_night: MakeNight) -> None:
    for left, lost in ((25.0, 1), (15.0, 0)):
        night = make_night(agents=3, tag=f"left{left:g}", key=f"{left:g}")
        night.join()
        for agent in night.agents:
            for steps in (1000, 1001):
                stepped(night, agent, 1.0, steps)
        baseline, lease = experiment(night.ledger, f"{night.tag}-gpu0-0000"), night.fences["gpu0"]
        work = begin(night.transaction(), "gpu0", lease, baseline, Purpose.CLOSING, night.base.sha)
        night.swarm(deadline=night.clock.now + left)
        metrics = Metrics(1.0, audited=True, values={"num_steps": 600})
        run = Run(work.run, work.attempt, night.clock.now, 10.0, 9.0, metrics=metrics)
        night.call("record", "gpu0", night.fences["gpu0"], run)
        assert len(night.runs(f"tag = '{night.tag}' AND state = 'lost'")) == lost


def test_on_a_machine_where_steps_vary_nothing_is_made_again(make_night: MakeNight) -> None:
    night = make_night(agents=3)
    night.join()
    for agent in night.agents:
        for steps in (1000, 1060):
            stepped(night, agent, 1.0, steps)
    night.draft("gpu0", 0)
    stepped(night, "gpu0", 0.99, 1000)
    stepped(night, "gpu0", 0.99, 930)
    assert not night.runs("state = 'lost'")
