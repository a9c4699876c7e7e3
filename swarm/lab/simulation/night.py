"""One simulated night: the real agents, board and judge on a virtual clock, and what they made of a known truth."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from swarm.agent.loop import Agent
from swarm.board.board import Board
from swarm.board.briefing import CATEGORIES
from swarm.board.client import BoardClient
from swarm.lab.simulation import clock
from swarm.lab.simulation.drafter import Drafter, Imagination
from swarm.lab.simulation.ideas import read, untouched
from swarm.lab.simulation.landscape import Landscape, Truth
from swarm.ledger import trunk
from swarm.ledger.confirmations import confirmed_codes
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiments, judged_ideas, own_mean
from swarm.ledger.rows import RunState
from swarm.ledger.runs import all_runs
from swarm.ledger.sources import load_source
from swarm.ledger.swarms import found
from swarm.ledger.transaction import of_swarm
from swarm.novelty.code import fingerprint
from swarm.project.project import Project
from swarm.records import Duplicate, Failure, Idea, Measure, Metrics, Progress, Purpose, Run, Source
from swarm.snapshot.build import Picture
from swarm.snapshot.records import Snapshot

TAG = "night"
DAWN = 1_700_000_000.0  # unix seconds at which every simulated night begins
PROJECT = Project(command=("never run",), editable=tuple(untouched().files))
HOUR = 3600.0
WATCH = 20.0  # seconds between the head's looks for leases that ran out


@dataclass(frozen=True, slots=True)
class Night:
    """What is simulated. Equal nights give equal outcomes; nights that differ in policy only are given the same ideas.

    `sigma` is in val_bpb, `offset` (the spread of the GPUs' offsets) in sigmas, `budget` (a run) and `think` (an idea)
    in seconds. An `open_end` night has no deadline and no closing wave: it is cut off.
    """

    landscape: Landscape
    sigma: float
    policy: str = "race"
    gpus: int = 8
    hours: float = 12.0
    seed: int = 0
    repeats: float = 0.3
    offset: float = 0.5
    budget: float = 300.0
    think: float = 60.0
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a night came to, measured against the truth. Gains are in val_bpb and positive; optimism is in sigmas."""

    progress: tuple[tuple[float, float], ...]  # (hour, true gain of the trunk), from (0, 0) on
    keeps: int
    false_keeps: int  # that truly gain nothing over what they were put on
    crowned: int  # states that won a confirmation
    false_champions: int  # of these, truly no better than the champion or baseline that they beat
    optimism: float | None  # of the night's headline: the claimed gain less the true one
    record_optimism: float | None  # of the trunk's recorded value, which is greedy's headline
    experiments: int
    runs: int
    new_share: float  # share of GPU time that went into first runs of new ideas
    new_ideas: int  # proposed for the first time
    wrongly_refused: int  # of these, refused as duplicates
    repeats: int  # proposed again
    repeats_run: int  # of these, trained once more

    @property
    def gain(self) -> float:
        return self.progress[-1][1]

    def gain_at(self, hour: float) -> float:
        """The true gain of the trunk at that hour."""
        return [gain for at, gain in self.progress if at <= hour][-1]


@dataclass(frozen=True, slots=True)
class Effort:
    """What it took to simulate a night: wall seconds, those of every call to the board, and how it looks at its end."""

    seconds: float
    calls: tuple[float, ...]
    seen: Snapshot


def simulate(night: Night) -> Outcome:
    """The night from its first baseline run to its end; takes seconds."""
    return clock.run(_Simulation(night).run())


def simulate_closely(night: Night) -> tuple[Outcome, Effort]:
    """The same night, with what it took."""
    begun, simulation = time.perf_counter(), _Simulation(night)
    outcome = clock.run(simulation.run())
    seconds = time.perf_counter() - begun
    return outcome, Effort(seconds, tuple(simulation.calls), simulation.picture())


class _Simulation:
    def __init__(self, night: Night):
        self.night = night
        self.imagination = Imagination(night.seed, night.repeats)
        self.truth = Truth(night.landscape, night.seed)
        self.refused: set[str] = set()  # titles
        self.ledger = Ledger(None)
        self.calls: list[float] = []  # seconds that each call to the board took

    async def run(self) -> Outcome:
        night, loop = self.night, asyncio.get_running_loop()
        base = untouched()
        names = [f"gpu{number}" for number in range(night.gpus)]
        seats = {name: ("simulated", CATEGORIES[number % len(CATEGORIES)]) for number, name in enumerate(names)}
        deadline = None if night.open_end else DAWN + night.hours * HOUR
        row = founded(TAG, policy=night.policy, budget=night.budget, deadline=deadline, sigma_prior=night.sigma)
        found(self.ledger, base, seats, fingerprint(base), DAWN, **row)
        board = Board(self.ledger, TAG, now=lambda: DAWN + loop.time(), monotonic=loop.time)
        agents = [self._agent(name, board) for name in names]
        head = asyncio.create_task(_watch(board))
        lives = asyncio.gather(*(agent.live() for agent in agents))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(lives, night.hours * HOUR if night.open_end else None)
        finally:
            head.cancel()
        return self._outcome()

    def _agent(self, name: str, board: Board) -> Agent:
        night = self.night
        offset = night.offset * night.sigma * random.Random(f"offset {night.seed} {name}").gauss()
        workshop = _Workshop(night, offset, self._true_value)
        drafter = Drafter(name, self.imagination, night.think)
        return Agent(name, PROJECT, BoardClient(self._called(board)), workshop, _Nowhere(), drafter)

    def _called(self, board: Board) -> Callable[..., Any]:
        """Carries calls to the board, and notes which new ideas it refused as duplicates."""

        async def call(method: str, *arguments: Any, **keywords: Any) -> Any:
            begun = time.perf_counter()
            answer = getattr(board, method)(*arguments, **keywords)
            self.calls.append(time.perf_counter() - begun)
            if isinstance(answer, Duplicate):
                subject = arguments[2] if method == "claim" else arguments[0]
                self.refused.add(subject.title if isinstance(subject, Idea) else subject.idea.title)
            return answer

        return call

    def _true_value(self, source: Source) -> float:
        return self.truth.value(self.imagination.numbers[change] for change in read(source))

    def picture(self) -> Snapshot:
        """What the leaderboard shows."""
        return Picture(self.ledger, of_swarm(self.ledger, TAG).swarm).snapshot("", now=DAWN)

    # -- the morning -------------------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        picture = self.picture()
        steps = trunk.steps(self.ledger, TAG)
        values = [self._true_value(load_source(self.ledger, step.source)) for step in steps]
        crowns = [
            [self._true_value(load_source(self.ledger, code)) for code in pair] for pair in confirmed_codes(self.ledger)
        ]
        best = trunk.leader(self.ledger, TAG).source  # which the headline is about
        gain = values[0] - self._true_value(load_source(self.ledger, best))
        claimed = picture.headline.gain if picture.headline else None
        return Outcome(
            progress=tuple(
                ((step.at - DAWN) / HOUR, values[0] - value) for step, value in zip(steps, values, strict=True)
            ),
            keeps=len(values) - 1,
            false_keeps=sum(after >= before for before, after in pairwise(values)),
            crowned=len(crowns),
            false_champions=sum(value >= rival for value, rival in crowns),
            optimism=None if claimed is None else (claimed - gain) / self.night.sigma,
            record_optimism=self._record_optimism(steps[-1].experiment, values[-1]),
            **self._spent(),
            **self._novelty(),
        )

    def _record_optimism(self, experiment: str | None, true: float) -> float | None:
        """How much better the trunk's newest step stands in the record than it is; None where there is no step."""
        recorded = own_mean(self.ledger, experiment) if experiment else None
        return None if recorded is None else (true - recorded) / self.night.sigma

    def _spent(self) -> dict[str, Any]:
        runs = [run for run in all_runs(self.ledger, TAG) if run.state is RunState.MEASURED]
        seconds = sum(run.seconds or 0.0 for run in runs)
        new = sum(run.seconds or 0.0 for run in runs if run.purpose is Purpose.FIRST)
        share = new / seconds if seconds else 0.0
        return {"experiments": judged_ideas(self.ledger), "runs": len(runs), "new_share": share}

    def _novelty(self) -> dict[str, int]:
        """How the board told new ideas from old ones. Nothing is a repetition of what was never run."""
        ran = {run.experiment for run in all_runs(self.ledger, TAG) if run.purpose is Purpose.FIRST}
        titles = [row.title for row in experiments(self.ledger, TAG) if row.id in ran]
        again, changes = self.imagination.again, [self.imagination.meant[title] for title in titles]
        return {
            "new_ideas": len(self.imagination.meant) - len(again),
            "wrongly_refused": len(self.refused - again),
            "repeats": len(again),
            "repeats_run": len(changes) - len(set(changes)),
        }


class _Workshop:
    """Where runs take their time on the virtual clock, and measure the truth with this GPU's offset and noise."""

    def __init__(self, night: Night, offset: float, truth: Callable[[Source], float]):
        self._night, self._offset, self._truth = night, offset, truth
        self._pace = random.Random(f"pace {night.seed} {offset}")
        self._stopped = asyncio.Event()

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        night, loop = self._night, asyncio.get_running_loop()
        chance = random.Random(f"{night.seed} {work.seed} {self._offset} {source.sha}")
        value = self._truth(source) + self._offset + night.sigma * chance.gauss()
        started, seconds = DAWN + loop.time(), night.budget * self._pace.uniform(1.0, 1.01)
        self._stopped.clear()
        try:
            await asyncio.wait_for(self._stopped.wait(), seconds)
        except TimeoutError:
            pass
        else:
            lasted = DAWN + loop.time() - started
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


class _Nowhere:
    """The drafter edits in its head."""

    def fresh(self, source: Source) -> Path:
        return Path(os.devnull)


async def _watch(board: Board) -> None:
    """What the head does all night: it takes back what agents held that went away, and forgets old answers."""
    while True:
        await asyncio.sleep(WATCH)
        board.expire()


def founded(tag: str, **columns: Any) -> dict[str, Any]:
    """A simulated swarm's row, as a launch would write it, but for these columns."""
    return {
        "tag": tag,
        "base_commit": "0" * 40,
        "from_tag": None,
        "key": "simulated",
        "device": "sim: simulated",
        "metric": "val_bpb",
        "direction": "lower",
        "policy": "race",
        "researcher": "simulated",
        "budget": 300.0,
        "deadline": None,
        "max_experiments": None,
        "max_usd": None,
        "settings": "{}",
        **columns,
    }
