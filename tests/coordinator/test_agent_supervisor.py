"""Supervision of an agent: a dead one is replaced, one that dies again and again is not, a faulty GPU rests."""

from __future__ import annotations

import math
from typing import Any

import pytest

from swarm.coordinator.agent_supervisor import FENCE, LONGEST_FENCE, SILENCE, START_LIMIT, STARTS, AgentSupervisor
from swarm.coordinator.ending import Ended, Ending
from swarm.errors import MachineFault, SwarmError, Unmakeable


class FakeAgent:
    """An agent that ends as it is told to."""

    def __init__(self) -> None:
        self.end: str | SwarmError | None = None
        self.said: dict[str, Any] | None = {"state": "training"}
        self.killed = self.halted = False

    def outcome(self) -> str | None:
        if isinstance(self.end, SwarmError):
            raise self.end
        return self.end

    def view(self) -> dict[str, Any] | None:
        return self.said

    def halt(self) -> None:
        self.halted = True

    def kill(self) -> None:
        self.killed = True


class Site:
    """A supervisor with its surroundings."""

    def __init__(self) -> None:
        self.time, self.finished = 0.0, 0
        self.agents: list[FakeAgent] = []
        self.warnings: list[tuple[str, str]] = []
        warn = lambda agent, text: self.warnings.append((agent, text))  # noqa: E731
        self.supervisor = AgentSupervisor("gpu3", self.start, lambda: self.finished, warn, lambda: self.time)

    def start(self) -> FakeAgent:
        self.agents.append(FakeAgent())
        return self.agents[-1]

    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        self.supervisor.look()


@pytest.fixture
def site() -> Site:
    made = Site()
    made.supervisor.look()
    return made


def test_who_ends_in_peace_is_not_replaced(site):
    site.agents[0].end = "8 experiments done"
    site.pass_time(1)
    site.pass_time(100)
    assert (
        site.supervisor.ended == Ended(Ending.DONE, "8 experiments done")
        and len(site.agents) == 1
        and not site.warnings
    )
    for _ in range(2):  # on and on: whoever is silent is shown as lost
        view = site.supervisor.view()
        assert view and view["state"] == "stopped" and view["note"] == site.supervisor.ended.reason


def test_who_dies_is_replaced_within_seconds_and_shown_meanwhile(site):
    site.agents[0].end = SwarmError("The actor died unexpectedly")
    site.pass_time(0.5)
    assert site.supervisor.view() == {
        "agent": "gpu3", "state": "lost", "note": "started again after: The actor died unexpectedly",
    }  # fmt: skip
    site.pass_time(1)
    assert len(site.agents) == 2 and site.agents[0].killed
    assert site.warnings == [("gpu3", "started again after: The actor died unexpectedly")]


def test_who_dies_in_vain_again_and_again_is_given_up(site):
    for _ in range(STARTS):
        site.agents[-1].end = SwarmError("no module named mine")
        site.pass_time(1000)
        site.pass_time(1000)
    assert (
        site.supervisor.ended == Ended(Ending.GAVE_UP, "gave up on gpu3: no module named mine")
        and len(site.agents) == STARTS
    )


def test_deaths_between_finished_runs_are_survived_without_end(site):
    for _ in range(5 * STARTS):
        site.agents[-1].end = SwarmError("killed")
        site.finished += 1
        site.pass_time(1000)
        site.pass_time(1000)
    assert not site.supervisor.ended and len(site.agents) == 1 + 5 * STARTS


def test_who_falls_silent_is_ended_and_replaced(site):
    site.pass_time(START_LIMIT - 1)
    assert site.supervisor.view()
    site.pass_time(SILENCE - 1)
    assert not site.agents[0].killed
    site.agents[0].said = None
    site.pass_time(2)
    assert site.agents[0].killed and "no sign of life" in site.warnings[0][1]
    site.pass_time(1)
    assert len(site.agents) == 2


def test_a_head_that_was_busy_takes_its_own_silence_for_nobody_elses(site):
    """It waited for a board that was slow to come back, and asked no agent meanwhile: their answers lie there."""
    assert site.supervisor.view()
    site.agents[0].said = {"state": "training", "log_chunk": b"more"}
    site.pass_time(10 * SILENCE)
    assert not site.agents[0].killed and not site.warnings
    site.agents[0].said = None
    assert site.supervisor.view() == {"state": "training", "log_chunk": b"more"}, "what was heard is not lost"
    assert site.supervisor.view() is None
    site.pass_time(SILENCE + 1)
    assert site.agents[0].killed


def test_a_faulty_gpu_rests_longer_and_longer_but_is_never_given_up(site):
    pauses = []
    for _ in range(12):
        site.agents[-1].end = MachineFault("ECC error")
        site.pass_time(1)
        assert site.supervisor.fenced and site.supervisor.view()["state"] == "fenced"
        before, started = site.time, len(site.agents)
        while len(site.agents) == started:
            site.pass_time(FENCE)
        pauses.append(site.time - before)
    assert pauses[:3] == [FENCE, 2 * FENCE, 4 * FENCE] and max(pauses) == LONGEST_FENCE and not site.supervisor.ended
    assert "fenced for 60 s: ECC error" in site.warnings[0][1]


def test_what_no_machine_could_do_ends_at_once_with_its_own_message(site):
    site.agents[0].end = Unmakeable("the project's files cannot be laid out: a name is too long")
    site.pass_time(1)
    site.pass_time(1000)
    assert site.supervisor.ended.ending is Ending.GAVE_UP and "a name is too long" in site.supervisor.ended.reason
    assert len(site.agents) == 1 and site.agents[0].killed and not site.supervisor.fenced


def test_closing_ends_whoever_works_there(site):
    site.supervisor.close("stopped")
    site.pass_time(100)
    assert site.agents[0].killed and site.supervisor.ended == Ended(Ending.DONE, "stopped") and len(site.agents) == 1


def test_who_never_comes_is_absent_and_waited_for_as_long_as_the_cluster_takes() -> None:
    site = Site()
    site.supervisor = AgentSupervisor(
        "gpu3", site.start, lambda: 0, lambda agent, text: None, lambda: site.time, start_limit=math.inf
    )
    site.supervisor.look()
    site.agents[-1].said = None
    site.pass_time(10 * START_LIMIT)
    assert len(site.agents) == 1 and site.supervisor.absent
    assert site.supervisor.view() == {"agent": "gpu3", "state": "starting", "note": "waiting for a place to work"}
    site.agents[-1].said = {"state": "training"}
    assert site.supervisor.view() == {"state": "training"} and not site.supervisor.absent
