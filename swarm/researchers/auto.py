"""The best researcher that this machine has: Claude by API with a key, else Claude Code, else the sweep."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swarm.records import Briefing, Edit, Idea, Run
from swarm.researchers import Board, Connected, create
from swarm.researchers.claude import KEY, MAX_USD, MODEL
from swarm.researchers.claude_code import installed


@dataclass(frozen=True, slots=True)
class Choice:
    """A researcher by name, and in one line why it is this one and what it may spend."""

    name: str
    reason: str


def choose(options: Mapping[str, str] | None = None) -> Choice:
    """What `auto` means here. With a key the API, else `claude` on the PATH, else the sweep."""
    options = options or {}
    limit = f"at most ${float(options.get('max_usd') or MAX_USD):.2f}"
    if options.get("api_key") or os.environ.get(KEY):
        return Choice("claude", f"claude by API, as {KEY} is set; model {options.get('model') or MODEL}, {limit}")
    if installed(options):
        model = options.get("model") or "its own default"
        return Choice(
            "claude-code", f"claude-code, as `claude` is on the PATH and no {KEY} is set; model {model}, {limit}"
        )
    return Choice("sweep", f"the sweep, as neither {KEY} is set nor `claude` on the PATH; it costs nothing")


class Auto:
    """The chosen researcher under another name. `choice` tells which one and why."""

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        self.choice = choose(options)
        self.researcher = create(self.choice.name, agent, seed, options)

    def connect(self, agent: str, board: Board) -> None:
        if isinstance(self.researcher, Connected):
            self.researcher.connect(agent, board)

    async def propose(self, briefing: Briefing) -> Idea:
        return await self.researcher.propose(briefing)

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        return await self.researcher.edit(idea, briefing, folder)

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        return await self.researcher.repair(idea, edit, run, briefing, folder)
