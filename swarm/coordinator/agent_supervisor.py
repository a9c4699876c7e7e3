"""One agent's place: who works there now, and what follows when they die, fall silent, or their GPU fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from swarm.coordinator.periodic import Streak
from swarm.errors import MachineFault, SwarmError

STARTS = 6  # deaths in a row without a finished run in between; then the seat stays empty
ARRIVAL = 600.0  # seconds until a new agent's first sign of life: a cluster may have to make room
SILENCE = 60.0  # seconds between two signs of life; then its lease is over too, and another is started
FENCE, LONGEST_FENCE = 60.0, 1800.0  # seconds a GPU rests after faults of the machine; doubled every time
GAVE_UP = "gave up"  # how the reason of a seat begins that should not have ended


class Worker(Protocol):
    """An agent at work (swarm/coordinator/cluster.py)."""

    def outcome(self) -> str | None: ...
    def view(self) -> dict[str, Any] | None: ...
    def halt(self) -> None: ...
    def kill(self) -> None: ...


class Seat:
    """`look()` again and again keeps it taken. `reason` is set once nobody will work here any more."""

    def __init__(
        self,
        agent: str,
        hire: Callable[[], Worker],
        finished: Callable[[], int],
        tell: Callable[[str, str], None],
        now: Callable[[], float] = time.monotonic,
        arrival: float = ARRIVAL,
    ):
        """`finished` counts the runs that ended here, in whatever way: who brings one is not failing in vain."""
        self.agent, self.reason = agent, ""
        self._hire, self._tell, self._now = hire, tell, now
        self._deaths, self._faults = Streak(finished), Streak(finished)
        self._worker: Worker | None = None
        self._due, self._silent_at, self._note, self._fenced = 0.0, 0.0, "starting", False
        self._arrival, self._arrived = arrival, False

    def look(self) -> None:
        """Sees to it that somebody works here, if anybody should."""
        if self.reason:
            return
        if self._worker is None:
            if self._now() >= self._due:
                self._worker, self._silent_at = self._hire(), self._now() + self._arrival
                self._fenced, self._arrived = False, False
            return
        try:
            self.reason = self._worker.outcome() or ""
            if not self.reason and self._now() > self._silent_at:
                raise SwarmError("it gave no sign of life any more")
        except MachineFault as fault:
            self._rest(str(fault))
        except SwarmError as death:
            self._fall(str(death))

    def view(self) -> dict[str, Any] | None:
        """What there is to show of it now; None where nothing is new."""
        if self._worker is None and not self.reason:
            return {"agent": self.agent, "state": "fenced" if self._fenced else "lost", "note": self._note}
        told = self._worker.view() if self._worker and not self.reason else None
        if told is not None:
            self._silent_at, self._arrived = self._now() + SILENCE, True
        elif self.absent:
            return {"agent": self.agent, "state": "starting", "note": "waiting for a place to work"}
        return told

    def halt(self) -> None:
        """Ends what trains here."""
        if self._worker and not self.reason:
            self._worker.halt()

    def close(self, reason: str) -> None:
        """Nobody works here any more, whoever still did."""
        if self._worker:
            self._worker.kill()
        self._worker, self.reason = None, self.reason or reason

    def vacate(self) -> None:
        """Whoever worked here is gone with their Ray; somebody new comes at the next look."""
        self._worker, self._due, self._note = None, 0.0, "starting"

    @property
    def waiting(self) -> bool:
        """Whether nobody works here now, but somebody will."""
        return self._worker is None and not self.reason

    @property
    def absent(self) -> bool:
        """Whether somebody was called who has not come yet: a cluster may have no GPU to spare."""
        return self._worker is not None and not self._arrived and not self.reason

    @property
    def fenced(self) -> bool:
        """Whether it rests for its machine's faults."""
        return self.waiting and self._fenced

    def _fall(self, why: str) -> None:
        self._dismiss()
        deaths = self._deaths.fail()
        if deaths >= STARTS:
            self.reason = f"{GAVE_UP} on {self.agent}: {why}"
            self._tell(self.agent, self.reason)
            return
        self._due, self._note = self._now() + 2.0 ** (deaths - 1), f"started again after: {why}"
        self._tell(self.agent, self._note)

    def _rest(self, why: str) -> None:
        self._dismiss()
        pause = min(FENCE * 2.0 ** (self._faults.fail() - 1), LONGEST_FENCE)
        self._due, self._fenced = self._now() + pause, True
        self._note = f"fenced for {pause:.0f} s: {why}"
        self._tell(self.agent, self._note)

    def _dismiss(self) -> None:
        if self._worker:
            self._worker.kill()
        self._worker = None
