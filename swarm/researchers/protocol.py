"""What a researcher is: the protocol that turns a briefing into an idea, and an idea into an edit."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from swarm.records import Briefing, Dossier, Edit, Idea, Run


class Exhausted(Exception):
    """The researcher has nothing (more) to propose from this briefing: the agent rests or lets another think.

    A swarm whose every researcher says so, and knows all there is to know, has nothing left to try, and ends.
    """


class Away(Exhausted):
    """The researcher cannot think now, whatever the briefing holds: it is asked again later."""


class Researcher(Protocol):
    """Turns a briefing into an idea and an idea into an edit. One instance per agent, living as long as it does."""

    async def propose(self, briefing: Briefing) -> Idea:
        """The next idea. `briefing.refused` says why earlier ones were not taken. Raises Exhausted."""
        ...

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        """The idea as new content of editable files. `folder` holds the parent's whole tree, free to scribble in."""
        ...

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        """A mended edit after a crash (called once per experiment), or None where the idea itself is at fault.

        Raises Exhausted, as `edit` may, where it cannot think now: then the fallback is asked.
        """
        ...


class Board(Protocol):
    """What the board offers to researchers beside the briefing (swarm/board/client.py)."""

    async def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str: ...
    async def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None: ...
    async def money_left(self) -> float: ...
    async def dossier(self, experiment: str) -> Dossier | None: ...


@runtime_checkable
class Connected(Protocol):
    """A researcher that pays for its thoughts, or looks things up: its agent connects it with the board."""

    def connect(self, agent: str, board: Board) -> None: ...
