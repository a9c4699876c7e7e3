"""A sweep that begins late, or again, knows every finding there is, though briefings are short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from swarm.board import findings
from swarm.board.board import Board
from swarm.board.client import local_client
from swarm.lab.simulation import clock
from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.simulated_swarm import EPOCH, TAG, SimulatedSwarm, _Simulation
from swarm.ledger.experiments import experiments
from swarm.records import Briefing, Dossier, Finding, Idea
from swarm.researchers.sweep.history import History
from swarm.researchers.sweep.knob_space import key_of
from swarm.researchers.sweep.sweep import Sweep

Brief = Callable[..., Briefing]
Learn = Callable[..., Finding]


class Shelf:
    """A board that holds these findings, the newest first, and gives out two at a time."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings, self.asked = list(findings), 0

    async def history(self, before: str) -> tuple[Finding, ...]:
        self.asked += 1
        [place] = [n for n, finding in enumerate(self.findings) if finding.experiment == before]
        return tuple(self.findings[place + 1 : place + 3])

    async def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str:
        return 1

    async def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None: ...

    async def money_left(self) -> float:
        return 0.0

    async def dossier(self, experiment: str) -> Dossier | None: ...


def test_a_briefing_is_completed_once_and_then_only_by_what_is_new(brief: Brief, learn: Learn) -> None:
    found = [learn(Idea(str(number)), -0.1) for number in range(12)][::-1]  # newest first
    shelf = Shelf(found[3:])
    history = History(shelf)

    def completed(told: Sequence[Finding], judged: int) -> tuple[Finding, ...]:
        tally = (("other", "discard", judged),)
        return asyncio.run(history.completed(brief(told, tally=tally))).findings

    assert completed(found[3:5], 9) == tuple(found[3:])
    assert shelf.asked == 4
    assert completed(found[3:5], 9) == tuple(found[3:5]) and shelf.asked == 4, "it knows all"
    shelf.findings = found
    assert completed(found[:1], 12) == tuple(found[:3]) and shelf.asked == 5, "and reads no farther than it must"
    assert completed((), 0) == ()


def test_a_restarted_agent_knows_what_was_tried_before_its_briefing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """More verdicts than a briefing holds; then another sweep takes over."""
    monkeypatch.setattr(findings, "KNOWN", 20)
    monkeypatch.setattr(findings, "KEPT", 0)
    monkeypatch.setattr(findings, "PAGE", 15)
    simulation = _Simulation(
        SimulatedSwarm(LANDSCAPES["default"], 0.0006, "greedy", gpus=3, researcher="sweep", max_experiments=60)
    )
    clock.run(simulation.run())
    board = Board(simulation.ledger, TAG, now=lambda: EPOCH, monotonic=lambda: 0.0)
    short = board.briefing("gpu0")
    assert len(short.findings) == 20, "whoever reads it as a text has a short one"
    sweep = Sweep("gpu0", 1, {})
    sweep.connect("gpu0", local_client(board))
    idea = asyncio.run(sweep.propose(short))
    tried = [row.idea for row in experiments(simulation.ledger, TAG) if row.status and not row.baseline]
    assert len(tried) >= 60
    assert sweep._findings.tried == set(map(key_of, tried)) and key_of(idea) not in sweep._findings.tried
