"""Keeps one agent running: starts its process, and starts it again when it dies, falls silent, or its GPU fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from swarm.coordinator.ending import Ended, Ending
from swarm.coordinator.periodic import FailureStreak
from swarm.errors import MachineFault, SwarmError, Unmakeable

STARTS = 6  # deaths in a row without a finished run in between; then the agent is given up
START_LIMIT = 600.0  # seconds until a new agent's first sign of life: a cluster may have to make room
SILENCE = 60.0  # seconds between two signs of life; then its lease is over too, and another is started
FENCE, LONGEST_FENCE = 60.0, 1800.0  # seconds a GPU rests after faults of the machine; doubled every time


class AgentHandle(Protocol):
    """A started agent (swarm/coordinator/cluster.py)."""

    def outcome(self) -> str | None: ...
    def view(self) -> dict[str, Any] | None: ...
    def halt(self) -> None: ...
    def kill(self) -> None: ...


class AgentSupervisor:
    """Supervises one agent while `look()` is called at short intervals. `ended` is set once it is over."""

    def __init__(
        self,
        agent: str,
        start: Callable[[], AgentHandle],
        finished: Callable[[], int],
        warn: Callable[[str, str], None],
        now: Callable[[], float] = time.monotonic,
        start_limit: float = START_LIMIT,
    ):
        """`finished` counts the agent's runs that ended, in whatever way: deaths with one in between are no streak."""
        self.agent = agent
        self.ended: Ended | None = None
        self._start, self._warn, self._now = start, warn, now
        self._deaths, self._faults = FailureStreak(finished), FailureStreak(finished)
        self._handle: AgentHandle | None = None
        self._due, self._silent_at, self._note, self._fenced = 0.0, 0.0, "starting", False
        self._start_limit, self._seen = start_limit, False
        self._heard: dict[str, Any] | None = None  # what it said, and was not shown yet

    def look(self) -> None:
        """Starts the agent where it is due, and reacts to how it ended."""
        if self.ended:
            return
        if self._handle is None:
            if self._now() >= self._due:
                self._handle, self._silent_at = self._start(), self._now() + self._start_limit
                self._fenced, self._seen = False, False
            return
        try:
            reason = self._handle.outcome()
            if reason is not None:
                self.ended = Ended(Ending.DONE, reason)
            elif self._now() > self._silent_at and not self._hear():
                raise SwarmError("it gave no sign of life any more")
        except MachineFault as fault:
            self._rest(str(fault))
        except Unmakeable as error:
            self._give_up(str(error))
        except SwarmError as death:
            self._restart(str(death))

    def view(self) -> dict[str, Any] | None:
        """What the leaderboard shows of the agent now; None where nothing is new."""
        if self.waiting:
            return {"agent": self.agent, "state": "fenced" if self._fenced else "lost", "note": self._note}
        if self.ended:  # said on and on while others go on, as what is not said anew is taken for a death
            state = "stopped" if self.ended.ending is Ending.DONE else "lost"
            return {"agent": self.agent, "state": state, "note": self.ended.reason}
        if self._handle and not self._hear() and self.absent:
            return {"agent": self.agent, "state": "starting", "note": "waiting for a place to work"}
        view, self._heard = self._heard, None
        return view

    def halt(self) -> None:
        """Ends the agent's training."""
        if self._handle and not self.ended:
            self._handle.halt()

    def close(self, reason: str) -> None:
        """Ends the agent for good, whatever it does."""
        self._kill()
        self.ended = self.ended or Ended(Ending.DONE, reason)

    def forget(self) -> None:
        """The agent's process is gone with its Ray; the next look starts a new one."""
        self._handle, self._heard, self._due, self._note = None, None, 0.0, "starting"

    @property
    def waiting(self) -> bool:
        """Whether no process runs now, but one will be started."""
        return self._handle is None and not self.ended

    @property
    def absent(self) -> bool:
        """Whether it was started and gave no sign of life yet: a cluster may have no GPU to spare."""
        return self._handle is not None and not self.ended and not self._seen

    @property
    def fenced(self) -> bool:
        """Whether it rests after a fault of its machine."""
        return self.waiting and self._fenced

    def _hear(self) -> bool:
        """Whether the agent said something since it was shown last. Where the head itself was busy for long, as with a
        board that is slow to come back, an answer is there, and the silence was not the agent's."""
        assert self._handle
        if self._heard is None and (view := self._handle.view()) is not None:
            self._heard, self._silent_at, self._seen = view, self._now() + SILENCE, True
        return self._heard is not None

    def _restart(self, why: str) -> None:
        self._kill()
        deaths = self._deaths.fail()
        if deaths >= STARTS:
            self._give_up(why)
            return
        self._due, self._note = self._now() + 2.0 ** (deaths - 1), f"started again after: {why}"
        self._warn(self.agent, self._note)

    def _give_up(self, why: str) -> None:
        self._kill()
        self.ended = Ended(Ending.GAVE_UP, f"gave up on {self.agent}: {why}")
        self._warn(self.agent, self.ended.reason)

    def _rest(self, why: str) -> None:
        self._kill()
        pause = min(FENCE * 2.0 ** (self._faults.fail() - 1), LONGEST_FENCE)
        self._due, self._fenced = self._now() + pause, True
        self._note = f"fenced for {pause:.0f} s: {why}"
        self._warn(self.agent, self._note)

    def _kill(self) -> None:
        if self._handle:
            self._handle.kill()
        self._handle = self._heard = None
