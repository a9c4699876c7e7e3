"""Simulates one swarm: the real agents, board and judge on a virtual clock, with made-up training results.

The true value of every idea is known, so that an outcome can be measured against it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swarm.agent.loop import Agent
from swarm.board.board import Board
from swarm.board.client import BoardClient
from swarm.judge.decide import DEFAULT
from swarm.lab.simulation import clock
from swarm.lab.simulation.clock import EPOCH, HOUR
from swarm.lab.simulation.landscape import Landscape
from swarm.lab.simulation.outcome import Counted, Outcome, outcome_of
from swarm.lab.simulation.problem import IdeaProblem, KnobProblem, Problem
from swarm.lab.simulation.simulated_runner import NoWorkspace, SimulatedRunner
from swarm.ledger import experiments, trunk
from swarm.ledger.database import Ledger
from swarm.ledger.sources import load_source
from swarm.ledger.swarms import found
from swarm.ledger.transaction import of_swarm
from swarm.novelty.code import fingerprint
from swarm.project.project import Project
from swarm.records import CATEGORIES, Briefing, Code, Duplicate, Idea, Rebase
from swarm.snapshot.build import Picture
from swarm.snapshot.records import Snapshot

TAG = "simulated"
RESEARCHERS = ("simulated", "sweep")
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
    begun, simulation = time.perf_counter(), _Simulation(swarm, whole_briefings=True)
    outcome = clock.run(simulation.run())
    seconds = time.perf_counter() - begun
    return outcome, Effort(seconds, tuple(simulation.calls), simulation.snapshot())


class _Simulation:
    def __init__(self, swarm: SimulatedSwarm, ledger: Ledger | None = None, whole_briefings: bool = False):
        """Where its researchers read no more of a briefing than where they start from, `whole_briefings` are drawn up
        only for the time that it takes: it is a fifth of all."""
        self.swarm = swarm
        self.problem = swarm.problem()
        editable = tuple(self.problem.base.files)
        self.project = Project(command=("never run",), editable=editable, budget=swarm.budget)
        self.counted = Counted()
        self.whole_briefings = whole_briefings or swarm.researcher != "simulated"
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
        return outcome_of(self.ledger, TAG, self.problem, swarm.sigma, self.counted, swarm.ablation)

    def _agent(self, name: str, board: Board) -> Agent:
        swarm = self.swarm
        offset = swarm.offset * swarm.sigma * random.Random(f"offset {swarm.seed} {name}").gauss()
        runner = SimulatedRunner(swarm.seed, swarm.sigma, offset, swarm.budget, self.problem.value)
        researcher = self.problem.researcher(name)
        client = BoardClient(self._caller(board))
        return Agent(name, self.project, client, runner, NoWorkspace(), researcher, heartbeat=HEARTBEAT)

    def _caller(self, board: Board) -> Callable[..., Any]:
        """Passes calls on to the board, times them, and notes which ideas it refused as duplicates."""

        async def call(method: str, *arguments: Any, **keywords: Any) -> Any:
            if method == "rebase":
                arguments = self._carried(*arguments)
            sparse = method == "briefing" and not self.whole_briefings
            asked = functools.partial(start_of, board) if sparse else getattr(board, method)
            begun = time.perf_counter()
            answer = asked(*arguments, **keywords)
            self.calls.append(time.perf_counter() - begun)
            self.counted.proposals += method == "claim"
            if isinstance(answer, Duplicate):
                subject = arguments[2] if method == "claim" else arguments[0]
                self.counted.refused.append(subject if isinstance(subject, Idea) else subject.idea)
            return answer

        return call

    def _carried(self, agent: str, fence: int, order: Rebase, code: Code | None) -> tuple[Any, ...]:
        """The same, or without the code where it does not fit the new trunk: here all edits would."""
        fits = random.Random(f"fits {self.swarm.seed} {order.source} {order.onto}").random() >= self.swarm.conflicts
        self.counted.rebases += 1
        self.counted.conflicts += not fits
        return agent, fence, order, code if fits else None

    def snapshot(self) -> Snapshot:
        """What the leaderboard shows."""
        return Picture(self.ledger, of_swarm(self.ledger, TAG).swarm).snapshot("", now=EPOCH)


async def _expire_leases(board: Board) -> None:
    """The head's periodic duty: frees what lost agents held, and forgets old answers."""
    while True:
        await asyncio.sleep(EXPIRY_INTERVAL)
        board.expire()


def start_of(board: Board, agent: str) -> Briefing:
    """A briefing of what a simulated researcher reads, which is the code that it starts from, and of how many verdicts
    there are; the same as there stands in the board's."""
    tx, newest = of_swarm(board.ledger, board.tag), trunk.tip(board.ledger, board.tag)
    swarm = tx.swarm
    return Briefing(
        tag=board.tag,
        agent=agent,
        parent=load_source(board.ledger, newest.source),
        position=newest.position,
        metric=swarm.metric,
        direction=swarm.direction,
        budget=swarm.budget,
        baseline=None,
        best=None,
        sigma=swarm.sigma,
        program="",
        tally=(("", "", experiments.judged_ideas(board.ledger)),),
    )


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
