"""What stands for the machine in a simulated swarm: training on the virtual clock, and no folder to edit in."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

from swarm.lab.simulation.clock import EPOCH
from swarm.records import Failure, Measure, Metrics, Progress, Run, Source


class SimulatedRunner:
    """Runs take their time on the virtual clock, and measure the truth with this GPU's offset and noise."""

    def __init__(self, seed: int, sigma: float, offset: float, budget: float, truth: Callable[[Source], float]):
        self._seed, self._sigma, self._offset, self._budget, self._truth = seed, sigma, offset, budget, truth
        self._pace = random.Random(f"pace {seed} {offset}")
        self._stopped = asyncio.Event()

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        loop = asyncio.get_running_loop()
        chance = random.Random(f"{self._seed} {work.seed} {self._offset} {source.sha}")
        value = self._truth(source) + self._offset + self._sigma * chance.gauss()
        started, seconds = EPOCH + loop.time(), self._budget * self._pace.uniform(1.0, 1.01)
        self._stopped.clear()
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            pass
        else:
            lasted = EPOCH + loop.time() - started
            return Run(work.run, work.attempt, started, lasted, lasted, failure=Failure.INTERRUPTED, reason="stopped")
        metrics = Metrics(value, audited=True, peak_vram_mb=40_000.0)
        trace = tuple(value + chance.gauss() for _ in range(4))
        return Run(work.run, work.attempt, started, seconds, seconds, metrics, trace=trace)

    async def stop(self) -> None:
        self._stopped.set()

    def leftovers(self) -> list[Run]:
        return []

    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None:
        pass


class NoWorkspace:
    """The simulated researcher edits no files, so it needs no folder."""

    def fresh(self, source: Source) -> Path:
        return Path(os.devnull)
