"""An agent's place: who dies is replaced, who dies in vain again and again is not, a faulty GPU rests."""

from __future__ import annotations

import math
from typing import Any

import pytest

from swarm.coordinator.agent_supervisor import ARRIVAL, FENCE, LONGEST_FENCE, SILENCE, STARTS, Seat
from swarm.errors import MachineFault, SwarmError


class Hired:
    """A worker that ends as it is told to."""

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


class Office:
    """A seat with its surroundings."""

    def __init__(self) -> None:
        self.time, self.finished = 0.0, 0
        self.workers: list[Hired] = []
        self.told: list[tuple[str, str]] = []
        tell = lambda agent, text: self.told.append((agent, text))  # noqa: E731
        self.seat = Seat("gpu3", self.hire, lambda: self.finished, tell, lambda: self.time)

    def hire(self) -> Hired:
        self.workers.append(Hired())
        return self.workers[-1]

    def pass_time(self, seconds: float) -> None:
        self.time += seconds
        self.seat.look()


@pytest.fixture
def office() -> Office:
    made = Office()
    made.seat.look()
    return made


def test_who_ends_in_peace_is_not_replaced(office):
    office.workers[0].end = "8 experiments done"
    office.pass_time(1)
    office.pass_time(100)
    assert office.seat.reason == "8 experiments done" and len(office.workers) == 1 and not office.told


def test_who_dies_is_replaced_within_seconds_and_shown_meanwhile(office):
    office.workers[0].end = SwarmError("The actor died unexpectedly")
    office.pass_time(0.5)
    assert office.seat.view() == {
        "agent": "gpu3", "state": "lost", "note": "started again after: The actor died unexpectedly",
    }  # fmt: skip
    office.pass_time(1)
    assert len(office.workers) == 2 and office.workers[0].killed
    assert office.told == [("gpu3", "started again after: The actor died unexpectedly")]


def test_who_dies_in_vain_again_and_again_leaves_the_seat_empty(office):
    for _ in range(STARTS):
        office.workers[-1].end = SwarmError("no module named mine")
        office.pass_time(1000)
        office.pass_time(1000)
    assert office.seat.reason == "gave up on gpu3: no module named mine" and len(office.workers) == STARTS


def test_deaths_between_finished_runs_are_survived_without_end(office):
    for _ in range(5 * STARTS):
        office.workers[-1].end = SwarmError("killed")
        office.finished += 1
        office.pass_time(1000)
        office.pass_time(1000)
    assert not office.seat.reason and len(office.workers) == 1 + 5 * STARTS


def test_who_falls_silent_is_ended_and_replaced(office):
    office.pass_time(ARRIVAL - 1)
    assert office.seat.view()
    office.pass_time(SILENCE - 1)
    assert not office.workers[0].killed
    office.workers[0].said = None
    office.pass_time(2)
    assert office.workers[0].killed and "no sign of life" in office.told[0][1]
    office.pass_time(1)
    assert len(office.workers) == 2


def test_a_faulty_gpu_rests_longer_and_longer_but_is_never_given_up(office):
    pauses = []
    for _ in range(12):
        office.workers[-1].end = MachineFault("ECC error")
        office.pass_time(1)
        assert office.seat.fenced and office.seat.view()["state"] == "fenced"
        before, hired = office.time, len(office.workers)
        while len(office.workers) == hired:
            office.pass_time(FENCE)
        pauses.append(office.time - before)
    assert pauses[:3] == [FENCE, 2 * FENCE, 4 * FENCE] and max(pauses) == LONGEST_FENCE and not office.seat.reason
    assert "fenced for 60 s: ECC error" in office.told[0][1]


def test_closing_ends_whoever_works_there(office):
    office.seat.close("stopped")
    office.pass_time(100)
    assert office.workers[0].killed and office.seat.reason == "stopped" and len(office.workers) == 1


def test_who_never_comes_is_absent_and_waited_for_as_long_as_the_cluster_takes() -> None:
    office = Office()
    office.seat = Seat("gpu3", office.hire, lambda: 0, lambda agent, text: None, lambda: office.time, arrival=math.inf)
    office.seat.look()
    office.workers[-1].said = None
    office.pass_time(10 * ARRIVAL)
    assert len(office.workers) == 1 and office.seat.absent
    assert office.seat.view() == {"agent": "gpu3", "state": "starting", "note": "waiting for a place to work"}
    office.workers[-1].said = {"state": "training"}
    assert office.seat.view() == {"state": "training"} and not office.seat.absent
