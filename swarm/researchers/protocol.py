"""What a researcher is: the protocol that turns a briefing into an idea and an idea into an edit, and what its class
declares of itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from swarm.records import Briefing, Dossier, Edit, Finding, Idea, Run
from swarm.researchers.options import Option


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


class BoardAccess(Protocol):
    """What the board offers to researchers beside the briefing (swarm/board/client.py)."""

    async def reserve(self, agent: str, model: str, usd: float, tokens: int) -> int | str: ...
    async def settle(self, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None: ...
    async def money_left(self) -> float: ...
    async def dossier(self, experiment: str) -> Dossier | None: ...
    async def history(self, before: str) -> tuple[Finding, ...]: ...
    async def warn(self, agent: str, text: str) -> None: ...


@runtime_checkable
class Connected(Protocol):
    """A researcher that pays for its thoughts, or looks things up: its agent connects it with the board."""

    def connect(self, agent: str, board: BoardAccess) -> None: ...


@runtime_checkable
class Waiting(Protocol):
    """A researcher that may wait for somebody else, as for a service that is overloaded."""

    @property
    def waits(self) -> str:
        """What it waits for now, in a few words for the agent's row; "" while it thinks."""
        ...


# -- what a class declares -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """Whether what a researcher needs is on this machine: `found` says so either way, as in "KEY is not set"."""

    met: bool
    found: str
    remedy: str = ""
    program: str = ""  # where it is a program: its path, which tells its version
    tried: str = ""  # the newest version of it that our tests were run with


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a researcher before one is made: its class says so in an attribute `profile`.

    A class without one costs nothing, needs nothing, and is given whatever options there are.
    """

    title: str = ""  # what people call it; its name where this is empty
    about: str = ""  # what a person who chose it may not know
    offers: bool = False  # whether `auto` may choose it, where its check is met
    pays: bool = False  # whether it spends money: it stays below the swarm's limit, for which it is connected
    talks: bool = False  # whether what it does while it thinks is worth a window to follow it in
    secrets: Mapping[str, str] = field(default_factory=dict)  # options from variables, handed over in memory only
    options: tuple[Option[Any], ...] | None = ()  # those of `--option`; None: it takes any
    check: Callable[[Mapping[str, str]], Check] | None = None  # by options; None: there is nothing to check
    costs: Callable[[Mapping[str, str]], str] | None = None  # by options: what it is billed by, and who says so


UNKNOWN = Profile(options=None)  # of a class that declares nothing


def needs_key(variable: str) -> Callable[[Mapping[str, str]], Check]:
    """The check of a researcher that asks a service with the key in this variable."""

    def check(options: Mapping[str, str]) -> Check:
        met = bool(options.get("api_key") or os.environ.get(variable))
        return Check(met, f"{variable} is {'set' if met else 'not set'}", f"export {variable}=...")

    return check


def needs_program(name: str, remedy: str, option: str = "", tried: str = "") -> Callable[[Mapping[str, str]], Check]:
    """The check of a researcher that runs this program, or the one that the option names."""

    def check(options: Mapping[str, str]) -> Check:
        program = options.get(option) or name
        path = shutil.which(program, path=os.environ.get("PATH"))
        return Check(bool(path), f"`{program}` is {'' if path else 'not '}on the PATH", remedy, path or "", tried)

    return check
