"""Drafts an agent's experiments: brief, propose, claim, edit, check, one experiment ahead of its GPU.

Drafting is a task of its own, and so is the repair of a crash: the GPU waits for neither. The researcher is asked
first, and the fallback while the researcher cannot answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from pathlib import Path
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from swarm.agent.edit_check import as_written, fault
from swarm.board.client import BoardClient
from swarm.errors import Fenced
from swarm.novelty.code import code_of
from swarm.novelty.likeness import alike
from swarm.project.project import Project
from swarm.records import Briefing, Change, Claim, Code, Duplicate, Edit, Idea, Rebase, Repair, Source, Stop
from swarm.researchers.protocol import Away, Connected, Exhausted, Researcher, Waiting

PATIENCE = 30.0  # seconds before a researcher that has nothing to propose is asked again
VERDICT = 0.1  # of a run: the next verdict is not expected sooner
BENCHED = 4  # ideas that the fallback proposes instead, when the researcher's crash one after the other
STUBBORN = 8  # refusals in a row after which a researcher is not asked for a while: each of its ideas costs money

Answer = TypeVar("Answer")


class Drafts(Protocol):
    """Where researchers edit (swarm/execution/workspace.py): a folder with the whole tree around a source."""

    def fresh(self, source: Source) -> Path: ...


class Draft(Enum):
    """What came of one attempt at a draft."""

    ENTERED = auto()  # the edit is recorded and waits for the GPU
    REFUSED = auto()  # a repetition, or not fit to run: its next briefing says why
    UNWANTED = auto()  # the board wants no further idea


class Drafting:
    """The drafts of one agent. `fence` is that of its lease; `note` says what went wrong last, for people."""

    def __init__(
        self,
        name: str,
        project: Project,
        board: BoardClient,
        drafts: Drafts,
        researcher: Researcher,
        fallback: Researcher | None,
        sleep: Callable[[float], Awaitable[None]],
    ):
        self.name, self.project, self.board, self.drafts = name, project, board, drafts
        self.researcher, self.fallback, self.sleep = researcher, fallback, sleep
        for asked in (researcher, fallback):
            if isinstance(asked, Connected):
                asked.connect(name, board)
        self.fence, self.note = 0, ""
        self.run_seconds = project.budget  # how long the newest run took, as far as one is known
        self._why = ""  # the last failure of a researcher, as part of `note`
        self.standin = ""  # why the fallback is asked, while it is
        self._stuck = ""  # why there is no idea, while there is none
        self._ahead: asyncio.Task[bool] | None = None
        self._mending: asyncio.Task[bool] | None = None
        self._one_thought = asyncio.Lock()  # researcher and folder serve one thought at a time
        self._refused: deque[str] = deque(maxlen=12)  # since the last draft that was entered
        self._benched = 0  # ideas that the fallback is still to propose
        self._spent, self._known = False, None  # whether all here are exhausted, and how many verdicts they knew of

    # -- the two tasks -----------------------------------------------------------------------------------------

    def ahead(self) -> None:
        """Begins the next draft as soon as the last one went to the GPU; the board says when one is wanted."""
        self._ahead = _unfinished(self._ahead) or asyncio.create_task(self._draft())

    def mend(self, work: Repair) -> None:
        """Begins to mend a crash."""
        self._mending = asyncio.create_task(self._repair(work))

    def mending(self) -> bool:
        """Whether a crash is still being mended: so long its experiment is left alone."""
        self._mending = _unfinished(self._mending)
        return self._mending is not None

    @property
    def awaited(self) -> asyncio.Task[bool] | None:
        """The thought that gives this GPU its next own work: a draft may not start before a crash is mended."""
        return self._mending or self._ahead

    @property
    def stuck(self) -> str:
        """Why nobody here has an idea; "" while somebody may have one, or a crash is being mended."""
        return "" if self._mending else self._stuck

    @property
    def waits(self) -> str:
        """What the researcher waits for, where it does."""
        return self.researcher.waits if isinstance(self.researcher, Waiting) else ""

    @property
    def thoughts(self) -> tuple[asyncio.Task[bool] | None, ...]:
        """Whatever is being thought, for who has to end it."""
        return self._ahead, self._mending

    def bench(self) -> int:
        """The fallback thinks for a while; for how many ideas."""
        self._benched = BENCHED if self.fallback else 0
        return self._benched

    # -- the next experiment -----------------------------------------------------------------------------------

    async def _draft(self) -> bool:
        """Tries until an edit waits for the GPU: True. False where the board wants none now."""
        while await self.board.wants_draft(self.name):
            researchers = (self.fallback,) if self._benched else (self.researcher, self.fallback)
            self._spent, self._known = not self._benched, None
            self._benched = max(0, self._benched - 1)
            for researcher in filter(None, researchers):
                draft = await self._draft_with(researcher)
                if draft is not Draft.REFUSED:
                    self._stuck = ""
                    return draft is Draft.ENTERED
            self._stuck = self.note
            if self._spent and self._known is not None:
                await self.board.exhausted(self.name, self.fence, self._known, self._why)
            await self.sleep(self._patience())
        return False

    def _patience(self) -> float:
        """Seconds until it is asked again. Whoever has nothing to propose may have after another verdict; where runs
        are short that is soon, and so is the moment when nothing is left to try."""
        return min(PATIENCE, max(1.0, self.run_seconds * VERDICT)) if self._spent else PATIENCE

    async def _draft_with(self, researcher: Researcher) -> Draft:
        """Lets one researcher try several times; REFUSED where it fails, or has nothing that can run."""
        try:
            for _ in range(STUBBORN):
                async with self._one_thought:
                    draft = await self._attempt(researcher)
                if draft is not Draft.REFUSED:
                    await self._welcome(researcher)
                    return draft
            self.note, self._spent = "proposes only what is known or cannot run", False
        except Fenced:
            raise
        except Exception as error:  # a researcher may fail in any way; the swarm goes on without it
            await self._miss(researcher, error)
        return Draft.REFUSED

    async def _attempt(self, researcher: Researcher) -> Draft:
        """One draft: brief, propose, claim, edit, check."""
        briefing = await self._brief()
        idea = await researcher.propose(briefing)
        claim = await self.board.claim(self.name, self.fence, idea, briefing.position)
        if isinstance(claim, Stop):
            return Draft.UNWANTED
        if isinstance(claim, Duplicate):
            return self._refuse(idea, claim.explanation)
        try:
            edit = await self._edit(researcher, idea, claim, briefing)
            return await self._check(idea, edit, claim, briefing.parent)
        except Exception:
            await self.board.release(claim, "its researcher failed")
            raise

    async def _brief(self) -> Briefing:
        briefing = replace(await self.board.briefing(self.name), refused=tuple(self._refused))
        if self._known is None:
            self._known = sum(number for *_, number in briefing.tally)
        return briefing

    async def _edit(self, researcher: Researcher, idea: Idea, claim: Claim, briefing: Briefing) -> Edit:
        """The idea as its researcher had it, not as the board stores it: it may look for its own."""
        claimed = replace(briefing, experiment=claim.experiment)
        edit = await researcher.edit(idea, claimed, self.drafts.fresh(briefing.parent))
        return as_written(edit, briefing.parent)

    async def _check(self, idea: Idea, edit: Edit, claim: Claim, parent: Source) -> Draft:
        """Enters the edit where it may run and its code is new."""
        wrong = fault(edit, parent, self.project)
        if wrong:
            await self.board.release(claim, wrong)
            return self._refuse(idea, wrong)
        code = code_of(parent, parent.edited(edit))
        entered = await self.board.enter(claim, code, "" if idea.again else await self._like(idea, code))
        if isinstance(entered, Duplicate):
            return self._refuse(idea, entered.explanation)
        self._refused.clear()
        return Draft.ENTERED

    async def _like(self, idea: Idea, code: Code) -> str:
        """The newest experiment whose change this one is very like; "" where there is none."""
        change = Change("", code.diff, f"{idea.title} {idea.rationale}")
        return next((other.experiment for other in await self.board.neighbours() if alike(change, other)), "")

    def _refuse(self, idea: Idea, why: str) -> Draft:
        self._refused.append(f"{idea.title}: {why}")
        return Draft.REFUSED

    async def _miss(self, researcher: Researcher, error: Exception) -> None:
        """The researcher cannot answer now. A warning says so of every failure, and once of the fallback."""
        spent = isinstance(error, Exhausted)
        self._spent = self._spent and spent and not isinstance(error, Away)
        self._why = str(error) if spent else f"{type(error).__name__}: {error}"
        self.note = f"nothing to propose: {self._why}" if spent else f"the researcher failed: {self._why}"
        if not spent:
            await self.board.warn(self.name, self.note)
        if researcher is self.researcher and self.fallback:
            if spent and not self.standin:
                await self.board.warn(self.name, f"the sweep thinks until the researcher is back: {self._why}")
            self.standin = self._why

    async def _welcome(self, researcher: Researcher) -> None:
        if researcher is self.researcher and self.standin:
            await self.board.warn(self.name, "the researcher is back")
            self.standin = ""

    # -- experiments that are there already --------------------------------------------------------------------

    async def edit_again(self, work: Rebase, parent: Source) -> Source | None:
        """The idea applied to another parent: two knobs on one line conflict in a merge only."""
        briefing = await self._briefing(work, parent)

        async def edit(researcher: Researcher) -> Source | None:
            made = await researcher.edit(work.idea, briefing, self.drafts.fresh(parent))
            return parent.edited(as_written(made, parent)) if isinstance(made, Edit) else None

        return await self._answer(edit)

    async def _repair(self, work: Repair) -> bool:
        """One chance to repair a plain mistake, then the crash stands; True in any case."""
        parent, crashed = await self.board.source(work.parent), await self.board.source(work.source)
        briefing = await self._briefing(work, parent)
        broken = crashed.edit_from(parent)

        async def mend(researcher: Researcher) -> Code | None:
            made = await researcher.repair(work.idea, broken, work.run, briefing, self.drafts.fresh(crashed))
            if not isinstance(made, Edit):
                return None
            mended = as_written(made, crashed)
            return None if fault(mended, crashed, self.project) else code_of(parent, crashed.edited(mended))

        await self.board.mend(self.name, self.fence, work.experiment, await self._answer(mend))
        return True

    async def _briefing(self, work: Rebase | Repair, parent: Source) -> Briefing:
        """What is known now, for an experiment that has its idea and its parent already."""
        return replace(await self.board.briefing(self.name), parent=parent, experiment=work.experiment)

    async def _answer(self, ask: Callable[[Researcher], Awaitable[Answer | None]]) -> Answer | None:
        """What comes of the researcher's answer, or where it cannot think now of the fallback's; None where there is
        none. Whatever is made of what it answers belongs into `ask`: it may be anything."""
        for asked in filter(None, (self.researcher, self.fallback)):
            async with self._one_thought:
                try:
                    answer = await ask(asked)
                    await self._welcome(asked)
                    return answer
                except Exception as error:  # as in _draft_with
                    await self._miss(asked, error)
        return None


def _unfinished(task: asyncio.Task[bool] | None) -> asyncio.Task[bool] | None:
    """The task where it still runs. Raises what ended it: above all that the lease is gone."""
    if task and task.done():
        task.result()
        return None
    return task


async def cancel(*tasks: asyncio.Future[Any] | None) -> None:
    """Ends the tasks; what they raise on the way is of no interest any more."""
    running = [task for task in tasks if task]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
