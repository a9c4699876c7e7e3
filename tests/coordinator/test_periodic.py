"""What the head does again and again: a failure is told once, tried again later and later, and never ends it."""

from __future__ import annotations

import pytest

from swarm.coordinator.periodic import FailureStreak, PeriodicTask
from swarm.errors import SwarmError


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.mark.parametrize("error", [SwarmError("git update-ref failed"), OSError(28, "No space left"), ValueError("x")])
def test_a_failure_is_told_once_and_tried_again_later_and_later(error):
    clock, reports, tries = Clock(), [], []

    def fail() -> None:
        tries.append(clock.time - 100)
        raise error

    task = PeriodicTask("git", fail, reports.append, longest_pause=8.0, now=clock)
    for _ in range(40):
        task.run()
        clock.time += 1
    assert tries == [0, 1, 3, 7, 15, 23, 31, 39]
    assert reports == [f"git: {error}; the swarm goes on and tries again"] and task.problem == str(error)


def test_when_it_works_again_that_is_told_and_the_next_failure_is_news():
    clock, reports, broken = Clock(), [], [True]

    def act() -> None:
        if broken[0]:
            raise OSError("full")

    task = PeriodicTask("git", act, reports.append, now=clock)
    for broken[0] in (True, False, False, True):
        task.run()
        clock.time += 100
    assert [text.partition(";")[0] for text in reports] == ["git: full", "git: works again", "git: full"]


def test_progress_ends_a_streak():
    reached = [0]
    streak = FailureStreak(lambda: reached[0])
    assert [streak.fail(), streak.fail()] == [1, 2]
    reached[0] = 1
    assert [streak.fail(), streak.fail()] == [1, 2]
