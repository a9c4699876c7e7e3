"""Checks of a project: asked for where an experiment would be kept, and nothing that fails them is.

python -m pytest tests/board/test_checks_asked.py
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from swarm.ledger.audit import counted_twice
from swarm.records import Failure, Measure, Outcome, Rebase, Rest, Run, Verdict
from swarm.snapshot.read import read_snapshot
from swarm.views.report import write_report
from swarm.wording.verdict_text import verdict_text
from tests.board.nights import Night

MakeNight = Callable[..., Night]
FAILED = "guard: pytest -q failed (exit 1): 2 failed, 5 passed in 0.31s"


@pytest.fixture(params=["race", "exact", "greedy"])
def night(request: pytest.FixtureRequest, make_night: MakeNight) -> Night:
    night = make_night(policy=request.param, settings=json.dumps({"checks": ["pytest -q"]}))
    night.join()
    for agent in ("gpu0", "gpu1"):
        while isinstance(work := night.next(agent), Measure) and work.purpose == "baseline":
            night.record(agent, work, 1.0 + 0.0005 * (work.seed % 2) * (night.board.swarm.policy != "exact"))
    return night


def checked(night: Night, agent: str, work: Measure, reason: str = "") -> Verdict | None:
    """The checks have run: they passed, or failed for that reason."""
    night.clock.tick(10.0)
    failure = Failure.CHECKS if reason else None
    run = Run(work.run, work.attempt, night.clock.now, 10.0, 0.0, failure=failure, reason=reason, log_tail=reason)
    return night.call("record", agent, night.fences[agent], run)


def until_check(night: Night, agent: str, value: float) -> Measure:
    """Runs whatever is asked for until it is the checks."""
    while (work := night.measure(agent)).purpose != "check":
        base = work.source == night.base.sha
        night.record(agent, work, 1.0 if base else value)
    return work


def test_what_would_be_kept_is_checked_first_and_then_kept(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    work = until_check(night, "gpu0", 0.9)
    assert night.row(experiment)["state"] == "testing" and night.trunk() == [None]
    n = night.row(experiment)["n"]
    verdict = checked(night, "gpu0", work)
    assert verdict and (verdict.outcome, verdict.n) == (Outcome.GAINED, n)
    assert night.trunk() == [None, experiment]
    assert [run["purpose"] for run in night.runs("purpose = 'check'")] == ["check"]
    assert not counted_twice(night.ledger)


def test_what_fails_is_never_kept_and_the_guard_is_the_first_word(night: Night, tmp_path) -> None:
    experiment = night.draft("gpu0", 0)
    verdict = checked(night, "gpu0", until_check(night, "gpu0", 0.9), FAILED)
    assert verdict and (verdict.outcome, verdict.reason) == (Outcome.BROKE_GUARD, FAILED)
    assert verdict.gain == pytest.approx(0.1, abs=1e-3)
    assert night.trunk() == [None] and night.row(experiment)["status"] == "discard"
    told = night.ledger.one("SELECT text FROM events WHERE experiment = ?", experiment)["text"]
    assert told.startswith(FAILED)
    snapshot = read_snapshot(tmp_path, night.ledger, night.tag, night.clock.now)
    view = next(view for view in snapshot.experiments if view.id == experiment)
    assert verdict_text(view, snapshot.sigma).startswith("Guard: pytest -q failed (exit 1)")
    report = write_report(snapshot, tmp_path / "report", None, {})[0].read_text()
    assert "## Better, and not kept\n\n- guard: pytest -q failed" in report
    finding = night.board.briefing("gpu1").findings[0]
    assert (finding.standing, finding.reason) == ("broke a guard", FAILED)
    told_closely = night.board.dossier(experiment)
    assert told_closely and told_closely.run and told_closely.run.log_tail == FAILED, "a researcher sees what failed"


def test_what_is_not_better_is_not_checked(night: Night) -> None:
    night.draft("gpu0", 0)
    verdict = night.run("gpu0", 1.2)
    assert verdict and verdict.outcome is Outcome.NO_GAIN
    assert not night.runs("purpose = 'check'")


def test_checks_count_for_nothing_else(night: Night) -> None:
    """No seed, no run of the parent, and no noise comes of them."""
    experiment = night.draft("gpu0", 0)
    before = night.board.swarm
    work = until_check(night, "gpu0", 0.9)
    assert work.seed == 1000, "a seed that no evidence has"
    measured = night.board.swarm.measured
    checked(night, "gpu0", work)
    after = night.board.swarm
    assert (after.measured, after.sigma) == (measured, night.board.swarm.sigma) and before.tag == after.tag
    assert night.row(experiment)["n"] == len(night.runs(f"experiment = '{experiment}' AND purpose != 'check'"))
    assert [run["value"] for run in night.runs("state = 'checked'")] == [None]


def test_lost_checks_are_run_again_and_given_up_after_too_many_faults(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    work = until_check(night, "gpu0", 0.9)
    night.restart()
    night.join("gpu0", "gpu1")
    again = night.measure("gpu0")
    assert (again.run, again.attempt, again.purpose) == (work.run, 2, "check")
    for _ in range(10):
        if night.state(experiment) == "judged":
            break
        night.record("gpu0", again, Failure.INFRASTRUCTURE)
        if night.state(experiment) != "judged":
            again = night.measure("gpu0")
    row = night.row(experiment)
    assert (row["status"], row["outcome"]) == ("discard", "given up") and "lost" in row["reason"]


def test_another_agent_checks_where_the_first_is_gone(night: Night) -> None:
    experiment = night.draft("gpu0", 0)
    until_check(night, "gpu0", 0.9)
    night.call("leave", "gpu0", night.fences["gpu0"])
    work = night.measure("gpu1")
    assert (work.experiment, work.purpose) == (experiment, "check")
    verdict = checked(night, "gpu1", work)
    assert verdict and verdict.outcome is Outcome.GAINED


def test_where_the_trunk_moved_meanwhile_the_code_is_new_and_is_run_and_checked_anew(night: Night) -> None:
    first, second = night.draft("gpu0", 0), night.draft("gpu1", 1)
    slow = until_check(night, "gpu0", 0.9)
    checked(night, "gpu1", until_check(night, "gpu1", 0.8))
    assert night.trunk() == [None, second]
    verdict = checked(night, "gpu0", slow)
    assert verdict and verdict.status is None
    order = night.next("gpu0")
    assert isinstance(order, Rebase)
    night.rebase("gpu0", order)
    work = night.measure("gpu0")
    assert work.purpose in ("first", "replicate", "refresh") and night.row(first)["outcome"] is None


def test_without_checks_nothing_is_asked(make_night: MakeNight) -> None:
    night = make_night()
    night.baselines()
    night.keep("gpu0", 0, 0.9)
    assert not night.runs("purpose = 'check'")
    assert isinstance(night.next("gpu0"), Rest)
