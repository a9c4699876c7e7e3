"""Simulates one swarm: the real agents, board and judge on a virtual clock, with made-up training results.

The true value of every idea is known, so that an outcome can be measured against it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from swarm.agent.loop import Agent
from swarm.board.board import Board
from swarm.board.client import BoardClient
from swarm.judge.decide import DEFAULT
from swarm.lab.simulation import clock
from swarm.lab.simulation.landscape import Landscape
from swarm.lab.simulation.left_out import LeftOut, left_out
from swarm.lab.simulation.problem import IdeaProblem, KnobProblem, Problem
from swarm.ledger import trunk
from swarm.ledger.confirmations import confirmed_codes
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiments, is_claimed, judged_ideas, own_mean
from swarm.ledger.rows import RunState, TrunkStep
from swarm.ledger.runs import all_runs
from swarm.ledger.sources import load_source
from swarm.ledger.swarms import found
from swarm.ledger.transaction import of_swarm
from swarm.novelty.code import fingerprint
from swarm.project.project import Project
from swarm.records import (
    CATEGORIES,
    Code,
    Duplicate,
    Failure,
    Idea,
    Measure,
    Metrics,
    Progress,
    Purpose,
    Rebase,
    Run,
    Source,
)
from swarm.snapshot.build import Picture
from swarm.snapshot.records import Snapshot

TAG = "simulated"
EPOCH = 1_700_000_000.0  # unix seconds at which every simulated swarm starts
RESEARCHERS = ("simulated", "sweep")
HOUR = 3600.0
HEARTBEAT, EXPIRY_INTERVAL = 50.0, 120.0  # rarer than in life, as nobody dies here: leases are 60 s


@dataclass(frozen=True, slots=True)
class SimulatedSwarm:
    """The settings of one simulation. Equal settings give equal outcomes; where only the policy differs, the ideas are
    the same.

    `sigma` is in val_bpb, `offset` (the spread of the GPUs' offsets) in sigmas, `budget` (a run) and `think` (an idea)
    in seconds. A share `conflicts` of the edits that must be carried onto a trunk that moved cannot be. A swarm with an
    `open_end` has no deadline and no closing wave: it is cut off. The `researcher` draws ideas out of thousands, or is
    the sweep, which turns the knobs of a landscape of its own.
    """

    landscape: Landscape
    sigma: float
    policy: str = DEFAULT
    gpus: int = 8
    hours: float = 12.0
    seed: int = 0
    repeats: float = 0.3
    conflicts: float = 0.05
    offset: float = 0.5
    budget: float = 300.0
    think: float = 60.0
    open_end: bool = False
    researcher: str = "simulated"
    max_experiments: int | None = None
    ablation: bool = False

    def problem(self) -> Problem:
        if self.researcher == "sweep":
            return KnobProblem(self.landscape, self.seed, self.think)
        return IdeaProblem(self.landscape, self.seed, self.repeats, self.think)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a swarm achieved, measured against the truth. Gains are in val_bpb and positive; optimism is in sigmas."""

    progress: tuple[tuple[float, float], ...]  # (hour, true gain of the trunk), from (0, 0) on
    steps: int  # that the trunk took, those that went back among them
    standing: int  # of these, under its tip at the end
    keeps: int  # of these, called kept
    false_keeps: int  # of these, truly no gain over what they were put on
    crowned: int  # states that won a confirmation
    false_champions: int  # of these, truly no better than the champion or baseline that they beat
    optimism: float | None  # of the headline: the claimed gain less the true one
    record_optimism: float | None  # of the trunk's recorded value, which is greedy's headline
    experiments: int
    runs: int
    new_share: float  # share of GPU time that went into first runs of new ideas
    new_ideas: int  # proposed for the first time
    wrongly_refused: int  # of these, refused as duplicates
    repeats: int  # proposed again
    repeats_run: int  # of these, trained once more
    proposals: int
    refused: int  # of these, as duplicates by whatever look
    judged: tuple[float, ...]  # the hour of every verdict on an idea
    rebases: int = 0  # edits that were carried onto a trunk that moved
    conflicts: int = 0  # of these, edits that could not be
    left_out: LeftOut | None = None  # what the ablation at its end came to

    @property
    def gain(self) -> float:
        return self.progress[-1][1]

    def gain_at(self, hour: float) -> float:
        """The true gain of the trunk at that hour."""
        return [gain for at, gain in self.progress if at <= hour][-1]

    def rate(self, number: int, over: int = 100) -> float:
        """Verdicts an hour around the verdict of that number."""
        first, last = number - over // 2, number + over // 2 - 1
        return (last - first) / (self.judged[last] - self.judged[first])


@dataclass(frozen=True, slots=True)
class Effort:
    """What a simulation took: wall seconds in all and for each call to the board, and the last snapshot."""

    seconds: float
    calls: tuple[float, ...]
    snapshot: Snapshot


def simulate(swarm: SimulatedSwarm, ledger: Ledger | None = None) -> Outcome:
    """Runs the swarm from its first baseline run to its end; takes seconds. What it writes down stands in `ledger`,
    where one is given."""
    return clock.run(_Simulation(swarm, ledger).run())


def simulate_and_time(swarm: SimulatedSwarm) -> tuple[Outcome, Effort]:
    """The same, with what it took."""
    begun, simulation = time.perf_counter(), _Simulation(swarm)
    outcome = clock.run(simulation.run())
    seconds = time.perf_counter() - begun
    return outcome, Effort(seconds, tuple(simulation.calls), simulation.snapshot())


class _Simulation:
    def __init__(self, swarm: SimulatedSwarm, ledger: Ledger | None = None):
        self.swarm = swarm
        self.problem = swarm.problem()
        editable = tuple(self.problem.base.files)
        self.project = Project(command=("never run",), editable=editable, budget=swarm.budget)
        self.refused: list[Idea] = []
        self.proposals = self.rebases = self.conflicts = 0
        self.ledger = ledger or Ledger(None)
        self.calls: list[float] = []  # seconds that each call to the board took

    async def run(self) -> Outcome:
        swarm, loop = self.swarm, asyncio.get_running_loop()
        base = self.problem.base
        names = [f"gpu{number}" for number in range(swarm.gpus)]
        device = self.problem.device
        enlisted = {name: (device, CATEGORIES[number % len(CATEGORIES)]) for number, name in enumerate(names)}
        deadline = None if swarm.open_end else EPOCH + swarm.hours * HOUR
        row = swarm_columns(
            TAG,
            policy=swarm.policy,
            budget=swarm.budget,
            deadline=deadline,
            sigma_prior=swarm.sigma,
            max_experiments=swarm.max_experiments,
            device=device,
            settings='{"ablation": true}' if swarm.ablation else "{}",
        )
        found(self.ledger, base, enlisted, fingerprint(base), EPOCH, **row)
        board = Board(self.ledger, TAG, now=lambda: EPOCH + loop.time(), monotonic=loop.time)
        agents = [self._agent(name, board) for name in names]
        head = asyncio.create_task(_expire_leases(board))
        work = asyncio.gather(*(agent.live() for agent in agents))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(work, swarm.hours * HOUR if swarm.open_end else None)
        finally:
            head.cancel()
        return self._outcome()

    def _agent(self, name: str, board: Board) -> Agent:
        swarm = self.swarm
        offset = swarm.offset * swarm.sigma * random.Random(f"offset {swarm.seed} {name}").gauss()
        runner = _SimulatedRunner(swarm, offset, self.problem.value)
        researcher = self.problem.researcher(name)
        client = BoardClient(self._caller(board))
        return Agent(name, self.project, client, runner, _NoWorkspace(), researcher, heartbeat=HEARTBEAT)

    def _caller(self, board: Board) -> Callable[..., Any]:
        """Passes calls on to the board, times them, and notes which ideas it refused as duplicates."""

        async def call(method: str, *arguments: Any, **keywords: Any) -> Any:
            if method == "rebase":
                arguments = self._carried(*arguments)
            begun = time.perf_counter()
            answer = getattr(board, method)(*arguments, **keywords)
            self.calls.append(time.perf_counter() - begun)
            self.proposals += method == "claim"
            if isinstance(answer, Duplicate):
                subject = arguments[2] if method == "claim" else arguments[0]
                self.refused.append(subject if isinstance(subject, Idea) else subject.idea)
            return answer

        return call

    def _carried(self, agent: str, fence: int, order: Rebase, code: Code | None) -> tuple[Any, ...]:
        """The same, or without the code where it does not fit the new trunk: here all edits would."""
        fits = random.Random(f"fits {self.swarm.seed} {order.source} {order.onto}").random() >= self.swarm.conflicts
        self.rebases += 1
        self.conflicts += not fits
        return agent, fence, order, code if fits else None

    def snapshot(self) -> Snapshot:
        """What the leaderboard shows."""
        return Picture(self.ledger, of_swarm(self.ledger, TAG).swarm).snapshot("", now=EPOCH)

    # -- the outcome -------------------------------------------------------------------------------------------

    def _outcome(self) -> Outcome:
        snapshot = self.snapshot()
        steps = trunk.steps(self.ledger, TAG)
        values = [self.problem.value(load_source(self.ledger, step.source)) for step in steps]
        confirmed = confirmed_codes(self.ledger)
        crowns = [[self.problem.value(load_source(self.ledger, code)) for code in pair] for pair in confirmed]
        best = trunk.leader(self.ledger, TAG).source  # which the headline is about
        gain = values[0] - self.problem.value(load_source(self.ledger, best))
        claimed = snapshot.headline.gain if snapshot.headline else None
        return Outcome(
            progress=tuple(
                ((step.at - EPOCH) / HOUR, values[0] - value) for step, value in zip(steps, values, strict=True)
            ),
            steps=len(values) - 1,
            **self._kept(steps, values),
            crowned=len(crowns),
            false_champions=sum(value >= rival for value, rival in crowns),
            optimism=None if claimed is None else (claimed - gain) / self.swarm.sigma,
            record_optimism=self._record_optimism(steps[-1].experiment, values[-1]),
            **self._spent(),
            **self._novelty(),
            left_out=left_out(self.ledger, TAG, self.problem.value) if self.swarm.ablation else None,
        )

    def _kept(self, steps: list[TrunkStep], values: list[float]) -> dict[str, int]:
        """What stands at the end, what is called kept of it, and what of that truly gains nothing."""
        standing = trunk.standing(self.ledger, TAG)
        value = {step.experiment: value for step, value in zip(steps, values, strict=True)}
        claimed = {row.id for row in experiments(self.ledger, TAG) if is_claimed(row)}
        line = [(None, values[0]), *((name, value[name]) for name in standing)]
        kept = [(before, after) for (_, before), (name, after) in pairwise(line) if name in claimed]
        false = sum(after >= before for before, after in kept)
        return {"standing": len(standing), "keeps": len(kept), "false_keeps": false}

    def _record_optimism(self, experiment: str | None, true: float) -> float | None:
        """How much better the trunk's newest step stands in the record than it is; None where there is no step."""
        recorded = own_mean(self.ledger, experiment) if experiment else None
        return None if recorded is None else (true - recorded) / self.swarm.sigma

    def _spent(self) -> dict[str, Any]:
        runs = [run for run in all_runs(self.ledger, TAG) if run.state is RunState.MEASURED]
        seconds = sum(run.seconds or 0.0 for run in runs)
        new = sum(run.seconds or 0.0 for run in runs if run.purpose is Purpose.FIRST)
        share = new / seconds if seconds else 0.0
        return {"experiments": judged_ideas(self.ledger), "runs": len(runs), "new_share": share}

    def _novelty(self) -> dict[str, Any]:
        ran = {run.experiment for run in all_runs(self.ledger, TAG) if run.purpose is Purpose.FIRST}
        ideas = [row for row in experiments(self.ledger, TAG) if not row.baseline and not row.restores]
        judged = sorted((row.judged - EPOCH) / HOUR for row in ideas if row.judged is not None)
        novelty = self.problem.novelty(self.refused, [row.idea for row in ideas if row.id in ran])
        counts = {"proposals": self.proposals, "refused": len(self.refused), "judged": tuple(judged)}
        return asdict(novelty) | counts | {"rebases": self.rebases, "conflicts": self.conflicts}


class _SimulatedRunner:
    """Runs take their time on the virtual clock, and measure the truth with this GPU's offset and noise."""

    def __init__(self, swarm: SimulatedSwarm, offset: float, truth: Callable[[Source], float]):
        self._swarm, self._offset, self._truth = swarm, offset, truth
        self._pace = random.Random(f"pace {swarm.seed} {offset}")
        self._stopped = asyncio.Event()

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        swarm, loop = self._swarm, asyncio.get_running_loop()
        chance = random.Random(f"{swarm.seed} {work.seed} {self._offset} {source.sha}")
        value = self._truth(source) + self._offset + swarm.sigma * chance.gauss()
        started, seconds = EPOCH + loop.time(), swarm.budget * self._pace.uniform(1.0, 1.01)
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


class _NoWorkspace:
    """The simulated researcher edits no files, so it needs no folder."""

    def fresh(self, source: Source) -> Path:
        return Path(os.devnull)


async def _expire_leases(board: Board) -> None:
    """The head's periodic duty: frees what lost agents held, and forgets old answers."""
    while True:
        await asyncio.sleep(EXPIRY_INTERVAL)
        board.expire()


def swarm_columns(tag: str, **columns: Any) -> dict[str, Any]:
    """The columns of a simulated swarm's row, as a launch would write them; `columns` replaces some."""
    return {
        "tag": tag,
        "base_commit": "0" * 40,
        "from_tag": None,
        "key": "simulated",
        "device": "sim: simulated",
        "metric": "val_bpb",
        "direction": "lower",
        "policy": DEFAULT,
        "researcher": "simulated",
        "budget": 300.0,
        "deadline": None,
        "max_experiments": None,
        "max_usd": None,
        "settings": "{}",
        **columns,
    }
