"""Agents that do as they are told, on a real board: how a test brings a swarm to its end without a training."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from swarm.board.board import Board
from swarm.novelty.code import code_of
from swarm.records import Claim, Idea, Measure, Metrics, Run, Source


class Drive:
    """The agents of one board; they edit train.py."""

    def __init__(self, board: Board, *agents: str):
        self.board, self._requests = board, iter(map(str, range(10_000)))
        self._fences = {agent: self._call("join", agent) for agent in agents}

    def _call(self, method: str, *arguments: object):
        return getattr(self.board, method)(*arguments, request=next(self._requests))

    def edit(self, agent: str, title: str, edit: Callable[[str], str], **knobs: float) -> None:
        """A draft that waits for its GPU."""
        briefing = self.board.briefing(agent)
        claim = self._call("claim", agent, self._fences[agent], Idea(title, knobs=knobs), briefing.position)
        assert isinstance(claim, Claim)
        source = Source({"train.py": edit(briefing.parent.files["train.py"].decode()).encode()})
        self._call("enter", claim, code_of(briefing.parent, source))

    def run(self, agent: str, value: float | Callable[[Measure], float]) -> bool:
        """The agent's next run, which gives that value, or where it is the project's checks, passes them; False where
        it has none."""
        work = self._call("next_work", agent, self._fences[agent])
        if not isinstance(work, Measure):
            return False
        metrics = None
        if work.purpose != "check":
            metrics = Metrics(value(work) if callable(value) else value, audited=False)
        run = Run(work.run, work.attempt, 0.0, 1.0, 1.0, metrics=metrics)
        self._call("record", agent, self._fences[agent], run)
        return True


def swarm(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The verb, in a process of its own."""
    command = [sys.executable, "-m", "swarm", *words, "-C", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
