"""Periodic tasks of the head, whose failures are reported once and tried again, and never end the swarm."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_PAUSE = 60.0  # seconds between two tries
LAST_TRIES, LAST_PAUSE = 30.0, 0.5  # seconds in which the last things are tried, and between two looks


class FailureStreak:
    """Counts failures in a row; progress, which is a growing number, ends the row."""

    def __init__(self, progress: Callable[[], int]):
        self._progress = progress
        self._reached, self._failures = progress(), 0

    def fail(self) -> int:
        """Counts one more failure; how many there were without progress in between."""
        reached = self._progress()
        if reached > self._reached:
            self._reached, self._failures = reached, 0
        self._failures += 1
        return self._failures


class PeriodicTask:
    """A task to be run at short intervals. Whatever it fails with, it is run again after longer and longer pauses."""

    def __init__(
        self,
        name: str,
        act: Callable[[], None],
        report: Callable[[str], None],
        longest_pause: float = LONGEST_PAUSE,
        now: Callable[[], float] = time.monotonic,
    ):
        self._name, self._act, self._report, self._now = name, act, report, now
        self._longest, self._pause, self._due = longest_pause, 0.0, 0.0
        self.problem = ""  # why it failed last; "" where it did not

    def run(self) -> None:
        """Runs it, if it is due."""
        if self._now() < self._due:
            return
        try:
            self._act()
        except Exception as error:  # a full disk, a locked ref, no answer: the swarm goes on
            self._failed(f"{error or type(error).__name__}")
            return
        if self.problem:
            self._report(f"{self._name}: works again")
        self.problem, self._pause = "", 0.0

    def _failed(self, why: str) -> None:
        if not self.problem:
            self._report(f"{self._name}: {why}; the swarm goes on and tries again")
        self.problem = why
        self._pause = min(2 * self._pause or 1.0, self._longest)
        self._due = self._now() + self._pause


def insist(act: Callable[[], None]) -> str:
    """Does it, again and again for some seconds where it fails; why it failed in the end, or ""."""
    task = PeriodicTask("the end", act, lambda problem: None, longest_pause=2.0)
    deadline = time.monotonic() + LAST_TRIES
    task.run()
    while task.problem and time.monotonic() < deadline:
        time.sleep(LAST_PAUSE)
        task.run()
    return task.problem
