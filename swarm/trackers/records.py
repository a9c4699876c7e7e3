"""What a tracker is told of an experiment, and what a tracker is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One judged experiment as one run of a tracker, in the group of its swarm. A value that is not known is left out;
    `curve` are training losses, evenly spaced over a run. Times are unix seconds."""

    id: str
    group: str
    title: str
    config: Mapping[str, Value]
    summary: Mapping[str, Value]
    curve: tuple[float, ...]
    started: float
    ended: float


class Tracker(Protocol):
    """One tracker, opened for one swarm. What it raises is told to people; the run is sent again later."""

    def send(self, run: TrackedRun) -> None:
        """Makes the run, whole. The same one may be sent twice, after a process that was ended in the middle."""
        ...
