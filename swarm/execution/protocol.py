"""What a runner is: trains a source once and gives the Run. Here (runner.py), on a cluster, or simulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from swarm.records import Measure, Progress, Run, Source


class Runner(Protocol):
    """Makes runs on one slot."""

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        """Trains `source` once and measures it."""
        ...

    def leftovers(self) -> list[Run]:
        """Finished runs that nobody acknowledged, oldest first. Blocks."""
        ...

    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None:
        """The run is recorded, so that its files may be deleted."""
        ...


class StoppableRunner(Runner, Protocol):
    """One whose running training can be ended."""

    async def stop(self) -> None:
        """Ends the running training and returns when nothing of it is left."""
        ...
