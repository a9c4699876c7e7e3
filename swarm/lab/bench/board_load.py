"""Measures the board under load: claims and records a second, and latency, with many callers on a real ledger file."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from swarm.board.board import Board
from swarm.board.client import BoardClient
from swarm.board.server import BoardServer
from swarm.errors import SwarmError
from swarm.lab.simulation.simulated_swarm import swarm_columns
from swarm.ledger.database import Ledger
from swarm.ledger.swarms import end, found
from swarm.ledger.synthetic import add_past_experiment
from swarm.ledger.transaction import of_swarm
from swarm.novelty.intent import intent
from swarm.records import Claim, Code, Idea, Measure, Metrics, Run, Source

CALLERS = 256
OLD = 100_000  # experiments of an old ledger
PACE, USUAL = 1000.0, 30.0  # claims and records a second at which waits are measured: at most, and of 1,000 agents
SIGMA = 0.001
BASE = Source({"train.py": b"idea = None\n"})
WORDS = ("wider", "deeper", "gated", "scaled", "smoothed", "shared", "rotated", "frozen")


def measure(seconds: float = 4.0, old: int = OLD, callers: int = CALLERS) -> dict[str, float | None]:
    """One flat object. `board_ops_per_s` counts the claims and records of `callers` who never pause, each with the
    calls between them; `board_p99_ms` is what the slowest call in a hundred takes at 1,000 claims and records a second,
    its waiting for others included, and `board_usual_p99_ms` at 30; `board_open_s` is how long a ledger of `old`
    experiments takes to open, and `board_old_ops_per_s` is the first figure on that ledger.
    """
    with tempfile.TemporaryDirectory(prefix="swarm-load-") as folder:
        young, aged = Path(folder, "young.sqlite"), Path(folder, "aged.sqlite")
        _fill(aged, old)
        begun = time.perf_counter()
        Ledger(aged, write=True).close()
        opened = time.perf_counter() - begun
        per_second, waits, usual = _loaded(young, seconds, callers, (PACE, USUAL))
        return {
            "board_ops_per_s": per_second,
            "board_p99_ms": _slowest(waits),
            "board_usual_p99_ms": _slowest(usual),
            "board_open_s": opened,
            "board_old_ops_per_s": _loaded(aged, seconds, callers)[0],
        }


def _slowest(waits: Sequence[float]) -> float:
    """What one call in a hundred takes, in ms."""
    return 1e3 * quantiles(waits, n=100)[98]


def _loaded(path: Path, seconds: float, callers: int, paces: Sequence[float] = ()) -> tuple[Any, ...]:
    """Claims and records per second of callers who never pause, and what each takes at these paces, in seconds."""
    with contextlib.closing(Ledger(path, write=True)) as ledger:
        agents = _Callers(ledger, callers)
        asyncio.run(agents.join())
        per_second, _ = asyncio.run(agents.work(seconds, None))
        return per_second, *(asyncio.run(agents.work(seconds, pace))[1] for pace in paces)


@dataclass
class _Callers:
    """The agents of one swarm, each going through its experiments: claim, enter, next work, record, and again."""

    ledger: Ledger
    callers: int
    fences: dict[str, int] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        _found(self.ledger, "load", self.callers)
        self.client = BoardClient(BoardServer(lambda: Board(self.ledger, "load")).call)  # as in the board's own process
        self.ideas, self.chance = itertools.count(), random.Random(0)

    async def join(self) -> None:
        """Everybody joins and measures the untouched code, so that ideas are next."""
        for agent in [f"gpu{number}" for number in range(self.callers)]:
            self.fences[agent] = await self.client.join(agent)
            for _ in range(2):
                work = await self._next(agent)
                await self.client.record(agent, self.fences[agent], self._trained(work, worse=0.0))

    async def work(self, seconds: float, pace: float | None) -> tuple[float, list[float]]:
        """All work for so long: without a pause, or at `pace` claims and records a second together, of which each makes
        one in about a second. Gives how many of these there were in a second, and what each took.
        """
        self.waits, begun = [], time.perf_counter()
        pause = min(len(self.fences), pace) / pace if pace else 0.0
        working = [*self.fences][: round(pause * pace)] if pace else self.fences
        await asyncio.gather(*(self._live(agent, begun + seconds, pause) for agent in working))
        return len(self.waits) / (time.perf_counter() - begun), self.waits

    async def _live(self, agent: str, until: float, pause: float) -> None:
        client, fence = self.client, self.fences[agent]
        while time.perf_counter() < until:
            idea = _idea(next(self.ideas))
            begun = await self._pause(pause)
            claim = await client.claim(agent, fence, idea, 0)
            self.waits.append(time.perf_counter() - begun)
            if not isinstance(claim, Claim):
                raise SwarmError(f"the board refused a new idea under load: {claim}")
            await client.enter(claim, _code(idea))
            work = await self._next(agent)
            begun = await self._pause(pause)
            await client.record(agent, fence, self._trained(work, worse=5 * SIGMA))
            self.waits.append(time.perf_counter() - begun)

    async def _next(self, agent: str) -> Measure:
        work = await self.client.next_work(agent, self.fences[agent])
        if not isinstance(work, Measure):
            raise SwarmError(f"the board has no work under load: {work}")
        return work

    async def _pause(self, usual: float) -> float:
        """Sleeps about so long; gives the time at which it should have ended, so that a queue counts as waiting."""
        end = time.perf_counter() + self.chance.uniform(0.0, 2.0) * usual
        await asyncio.sleep(end - time.perf_counter())
        return end

    def _trained(self, work: Measure, worse: float) -> Run:
        value = 1.0 + worse + SIGMA * self.chance.gauss()
        return Run(work.run, work.attempt, time.time(), 300.0, 290.0, Metrics(value, audited=True, peak_vram_mb=4e4))


def _idea(number: int, suffix: str = "") -> Idea:
    """Each with a title of its own."""
    words = " ".join(WORDS[number // len(WORDS) ** place % len(WORDS)] for place in range(6))
    return Idea(f"{words} attention {suffix}".strip(), "The variance may be out of proportion.", "architecture")


def _code(idea: Idea) -> Code:
    """What an agent would send: the board only compares, whatever the hashes are made of."""
    source = Source({"train.py": f"idea = {idea.title!r}\n".encode()})
    return Code(source, source.sha, 1, (f"change {source.sha}",), f"+ idea = {idea.title!r}")


def _found(ledger: Ledger, tag: str, agents: int) -> None:
    enlisted = {f"gpu{number}": ("simulated", "architecture") for number in range(agents)}
    found(ledger, BASE, enlisted, BASE.sha, time.time(), **swarm_columns(tag, sigma_prior=SIGMA))


def _fill(path: Path, experiments: int) -> None:
    """A ledger in which another swarm made so many experiments, one run each."""
    with contextlib.closing(Ledger(path, write=True)) as ledger, ledger.transaction():
        _found(ledger, "old", 1)
        for number in range(experiments):
            _remember(ledger, number)
        end(of_swarm(ledger, "old", time.time()), "finished", "")


def _remember(ledger: Ledger, number: int) -> None:
    """One experiment of the past, as the board would have left it."""
    idea, at = _idea(number, "long ago"), time.time()
    run = Run(f"old-gpu0-{number + 1:06d}.1", 1, at, 300.0, 290.0, Metrics(1.0 + SIGMA, audited=True, peak_vram_mb=4e4))
    add_past_experiment(ledger, "old", "gpu0", number + 1, idea, intent(idea), _code(idea), BASE.sha, run)
