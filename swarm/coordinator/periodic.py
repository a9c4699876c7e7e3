"""What the head does again and again, and may fail at without the night ending: told once, tried again."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_PAUSE = 60.0  # seconds between two tries


class Streak:
    """Failures in a row; progress, which is a growing number, ends the row."""

    def __init__(self, progress: Callable[[], int]):
        self._progress = progress
        self._reached, self._failures = progress(), 0

    def fail(self) -> int:
        """One more failure; gives how many there were without progress in between."""
        reached = self._progress()
        if reached > self._reached:
            self._reached, self._failures = reached, 0
        self._failures += 1
        return self._failures


class Duty:
    """One thing to do at every look around. Whatever it fails with, it is done again, later and later."""

    def __init__(
        self,
        name: str,
        act: Callable[[], None],
        tell: Callable[[str], None],
        longest_pause: float = LONGEST_PAUSE,
        now: Callable[[], float] = time.monotonic,
    ):
        self._name, self._act, self._tell, self._now = name, act, tell, now
        self._longest, self._pause, self._due = longest_pause, 0.0, 0.0
        self.problem = ""  # why it failed last; "" where it did not

    def perform(self) -> None:
        """Does it, if it is due."""
        if self._now() < self._due:
            return
        try:
            self._act()
        except Exception as error:  # a full disk, a locked ref, no answer: the night goes on
            self._failed(f"{error or type(error).__name__}")
            return
        if self.problem:
            self._tell(f"{self._name}: works again")
        self.problem, self._pause = "", 0.0

    def _failed(self, why: str) -> None:
        if not self.problem:
            self._tell(f"{self._name}: {why}; the swarm goes on and tries again")
        self.problem = why
        self._pause = min(2 * self._pause or 1.0, self._longest)
        self._due = self._now() + self._pause
