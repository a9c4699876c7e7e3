"""One GPU's research loop. Reads like the table in DESIGN: brief, propose, claim, edit, check, run, record, judge.

While one experiment trains, the next is already thought out: drafting is a task of its own, one experiment ahead. So is
the mending of a crash, and its GPU does something for the others meanwhile.
Everything the agent works with is handed in, so the simulator runs this very code on a virtual clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from swarm.board.client import BoardClient
from swarm.board.novelty import alike, code_of
from swarm.errors import Fenced, MachineFault
from swarm.project import Project
from swarm.records import (
    Briefing,
    Change,
    Claim,
    Code,
    Duplicate,
    Edit,
    Failure,
    Idea,
    Measure,
    Progress,
    Purpose,
    Rebase,
    Repair,
    Rest,
    Run,
    Rung,
    Source,
    Status,
    Stop,
    Verdict,
    Work,
)
from swarm.researchers import Away, Connected, Exhausted, Researcher
from swarm.workshop.gate import fault
from swarm.workshop.merge import merge

HEARTBEAT = 15.0  # seconds between renewals of the lease
PATIENCE = 30.0  # seconds before a researcher that has nothing to propose is asked again
MACHINE_FAULTS = 3  # infrastructure failures in a row after which this GPU should rest, and others take its work
CRASHES, BENCHED = 6, 4  # crashes in a row after which people are told, and ideas that the fallback then has instead
STUBBORN = 8  # refusals in a row after which a researcher is let rest: each of its ideas costs money


class Workshop(Protocol):
    """Where runs happen (swarm/workshop/runner.py)."""

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run: ...
    async def stop(self) -> None: ...
    def leftovers(self) -> list[Run]: ...
    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None: ...


class Drafts(Protocol):
    """Where researchers edit (swarm/workshop/workspace.py): a folder with the whole tree around a source."""

    def fresh(self, source: Source) -> Path: ...


class Agent:
    """Owns one slot and one branch. `live()` returns when the swarm ends, with the reason."""

    def __init__(
        self,
        name: str,
        project: Project,
        board: BoardClient,
        workshop: Workshop,
        drafts: Drafts,
        researcher: Researcher,
        fallback: Researcher | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        self.name, self.project, self.board = name, project, board
        self.workshop, self.drafts = workshop, drafts
        self.researcher, self.fallback, self.sleep = researcher, fallback, sleep
        for thinker in (researcher, fallback):
            if isinstance(thinker, Connected):
                thinker.connect(name, board)
        self.fence, self.faults, self.crashes, self.benched = 0, 0, 0, 0
        self.drafting: asyncio.Task[bool] | None = None
        self.mending: asyncio.Task[bool] | None = None
        self.thinking = asyncio.Lock()  # one thought at a time: researcher and folder are for one
        self.refused: deque[str] = deque(maxlen=12)  # since the last idea that was taken
        self.standin = ""  # while the fallback thinks: why
        self.stuck = ""  # while nobody here has an idea: why
        self.spent, self.known = False, None  # whether only news can change that, and how many verdicts were known
        self.state, self.note = "resting", "starting"
        self.work: Measure | None = None
        self.progress: Progress | None = None

    async def live(self) -> str:
        """Asks the board for work and does it, until there is none to come; MachineFault where it only fails here."""
        self.fence = await self.board.join(self.name)
        heartbeat = asyncio.create_task(self._keep_lease())
        try:
            for run in await asyncio.to_thread(self.workshop.leftovers):  # finished while nobody listened
                await self._record(run)
            while not isinstance(work := await self._next_work(), Stop):
                self._draft_ahead()
                await self._do(work)
        except MachineFault:
            with contextlib.suppress(Fenced):
                await self.board.retire(self.name, self.fence)
            raise
        finally:
            await _cancel(heartbeat, self.drafting, self.mending)
        self.state, self.note = "stopped", work.reason
        with contextlib.suppress(Fenced):  # nothing is left that could be taken away
            await self.board.leave(self.name, self.fence)
        return work.reason

    async def _next_work(self) -> Work:
        """The board's answer; while a crash is being mended, what leaves its experiment alone."""
        if self.mending and self.mending.done():
            self.mending.result()  # as in _draft_ahead
            self.mending = None
        return await self.board.next_work(self.name, self.fence, mending=self.mending is not None)

    async def _do(self, work: Work) -> None:
        match work:
            case Measure():
                await self._measure(work)
            case Rebase():
                await self._rebase(work)
            case Repair():
                self.mending = asyncio.create_task(self._repair(work))
            case Rest():
                await self._rest(work)

    # -- the GPU's side ----------------------------------------------------------------------------------------

    async def _measure(self, work: Measure) -> None:
        """run, referee, record, judge"""
        self.state, self.note, self.work, self.progress = "training", "", work, None
        source = await self.board.source(work.source)
        run = await (self._fill(work, source) if work.purpose is Purpose.FILLER else self._train(work, source))
        self.work, self.progress = None, None
        await self._watch_crashes(await self._record(run), run)
        self.faults = self.faults + 1 if run.failure is Failure.INFRASTRUCTURE else 0
        if self.faults >= MACHINE_FAULTS:
            raise MachineFault(f"{self.faults} faults of the machine in a row: {run.reason}")

    def _train(self, work: Measure, source: Source) -> Awaitable[Run]:
        return self.workshop.run(work, source, self._on_progress)

    async def _fill(self, work: Measure, source: Source) -> Run:
        """A run that passes the time, and ends with it: as soon as a draft waits, or none will come any more."""
        training = asyncio.ensure_future(self._train(work, source))
        try:
            await asyncio.wait(filter(None, (training, self._awaited)), return_when=asyncio.FIRST_COMPLETED)
            if not training.done():
                await self.workshop.stop()
            return await training
        finally:
            await _cancel(training)

    @property
    def _awaited(self) -> asyncio.Task[bool] | None:
        """The thought that gives this GPU its next own work: a draft may not start before a crash is mended."""
        return self.mending or self.drafting

    async def _watch_crashes(self, verdict: Verdict | None, run: Run) -> None:
        """Experiments that crash one after the other: people are told, and the researcher sits out for a while."""
        if verdict is None or verdict.status is None:
            return
        self.crashes = self.crashes + 1 if verdict.status is Status.CRASH else 0
        if self.crashes and self.crashes % CRASHES == 0:
            self.benched = BENCHED if self.fallback else 0
            instead = f"; the sweep has the next {BENCHED} ideas" if self.fallback else ""
            await self.board.warn(self.name, f"{self.crashes} crashes in a row, the last: {run.reason}{instead}")

    async def _record(self, run: Run) -> Verdict | None:
        """Only then are the run's files deleted; the model stays where the trunk took the experiment."""
        verdict = await self.board.record(self.name, self.fence, run)
        kept = verdict is not None and verdict.rung is Rung.KEPT
        self.workshop.acknowledge(run.run, run.attempt, keep_model=kept)
        return verdict

    async def _rebase(self, work: Rebase) -> None:
        """The trunk moved: the same edit on top of what was won, merged or else made anew; or nothing of it."""
        base, ours, theirs = [await self.board.source(sha) for sha in (work.base, work.source, work.onto)]
        merged = await asyncio.to_thread(merge, base, ours, theirs) or await self._edited_again(work, theirs)
        if merged is None or fault(Edit(merged.files), theirs, self.project):
            await self.board.rebase(self.name, self.fence, work, None)
            return
        await self.board.rebase(self.name, self.fence, work, code_of(theirs, merged))

    async def _edited_again(self, work: Rebase, parent: Source) -> Source | None:
        """The idea applied to another parent; two knobs on one line conflict in a merge, and not in truth."""
        self.state, self.note = "drafting", f"carrying over {work.idea.title}"
        briefing = replace(await self.board.briefing(self.name), parent=parent, experiment=work.experiment)
        edit = await self._answer(lambda thinker: thinker.edit(work.idea, briefing, self.drafts.fresh(parent)))
        return parent.edited(edit) if edit else None

    async def _repair(self, work: Repair) -> bool:
        """One chance to mend a plain mistake, then the crash stands; either way the agent goes on: True."""
        parent, crashed = await self.board.source(work.parent), await self.board.source(work.source)
        mended = await self._mended(work, parent, crashed)
        code = code_of(parent, crashed.edited(mended)) if mended else None
        await self.board.mend(self.name, self.fence, work.experiment, code)
        return True

    async def _mended(self, work: Repair, parent: Source, crashed: Source) -> Edit | None:
        """What the researcher makes of the crash; None where it has no answer, or none that could run."""
        briefing = replace(await self.board.briefing(self.name), parent=parent, experiment=work.experiment)
        broken = _difference(parent, crashed)
        mended = await self._answer(
            lambda thinker: thinker.repair(work.idea, broken, work.run, briefing, self.drafts.fresh(crashed))
        )
        return None if mended is None or fault(mended, crashed, self.project) else mended

    async def _answer(self, ask: Callable[[Researcher], Awaitable[Edit | None]]) -> Edit | None:
        """What the researcher answers, or where it cannot think now the fallback; None where there is no answer."""
        for thinker in filter(None, (self.researcher, self.fallback)):
            async with self.thinking:
                try:
                    edit = await ask(thinker)
                    await self._welcome(thinker)
                    return edit if isinstance(edit, Edit) else None
                except Exception as error:  # as in _try: the night goes on without it
                    await self._miss(thinker, error)
        return None

    async def _rest(self, work: Rest) -> None:
        """Waits, but not longer than until the draft is ready, or the crash mended."""
        stuck = self.stuck and not self.mending
        self.state, self.note = ("resting", self.stuck) if stuck else ("drafting", work.reason)
        waiting = asyncio.ensure_future(self.sleep(work.seconds))
        thinking = self._awaited or waiting
        try:
            await asyncio.wait({waiting, thinking}, return_when=asyncio.FIRST_COMPLETED)
            if thinking.done() and not thinking.result():
                await waiting
        finally:
            await _cancel(waiting)

    # -- the researcher's side, one experiment ahead -----------------------------------------------------------

    def _draft_ahead(self) -> None:
        """Begins the next draft as soon as the last one went to the GPU; the board says when one is wanted."""
        if self.drafting and self.drafting.done():
            self.drafting.result()  # raises what ended it: above all that the lease is gone
            self.drafting = None
        if self.drafting is None:
            self.drafting = asyncio.create_task(self._draft())

    async def _draft(self) -> bool:
        """Tries until an edit waits for the GPU: True. False where the board wants none now."""
        while await self.board.wants_draft(self.name):
            thinkers = (self.fallback,) if self.benched else (self.researcher, self.fallback)
            self.spent, self.known = not self.benched, None
            self.benched = max(0, self.benched - 1)
            for researcher in filter(None, thinkers):
                entered = await self._try(researcher)
                if entered is not None:
                    self.stuck = ""
                    return entered
            self.stuck = self.note
            if self.spent and self.known is not None:
                await self.board.exhausted(self.name, self.fence, self.known, self.note.partition(": ")[2])
            await self.sleep(PATIENCE)
        return False

    async def _try(self, researcher: Researcher) -> bool | None:
        """Lets one researcher think: True and False as in `_draft`, None where it cannot help now."""
        try:
            for _ in range(STUBBORN):
                async with self.thinking:
                    entered = await self._think(researcher)
                if entered is not None:
                    await self._welcome(researcher)
                    return entered
            self.note, self.spent = "proposes only what is known or cannot run", False
        except Fenced:
            raise
        except Exception as error:  # a researcher may fail in any way; the night goes on without it
            await self._miss(researcher, error)
        return None

    async def _miss(self, researcher: Researcher, error: Exception) -> None:
        """The researcher cannot think now. People are told once where somebody stands in, and of every failure."""
        spent = isinstance(error, Exhausted)
        self.spent = self.spent and spent and not isinstance(error, Away)
        told = str(error) if spent else f"{type(error).__name__}: {error}"
        self.note = f"nothing to propose: {told}" if spent else f"the researcher failed: {told}"
        if not spent:
            await self.board.warn(self.name, self.note)
        if researcher is self.researcher and self.fallback:
            if spent and not self.standin:
                await self.board.warn(self.name, f"the sweep thinks until the researcher is back: {told}")
            self.standin = told

    async def _welcome(self, researcher: Researcher) -> None:
        if researcher is self.researcher and self.standin:
            await self.board.warn(self.name, "the researcher is back")
            self.standin = ""

    async def _think(self, researcher: Researcher) -> bool | None:
        """brief, propose, claim. None: refused, so that it has to think again; it is told why."""
        briefing = replace(await self.board.briefing(self.name), refused=tuple(self.refused))
        if self.known is None:
            self.known = sum(number for *_, number in briefing.tally)
        idea = await researcher.propose(briefing)
        claim = await self.board.claim(self.name, self.fence, idea, briefing.position)
        if isinstance(claim, Stop):
            return False
        if isinstance(claim, Duplicate):
            return self._refuse(idea, claim.told)
        try:
            return await self._edit(researcher, idea, briefing, claim)
        except Exception:
            await self.board.release(claim, "its researcher failed")
            raise

    async def _edit(self, researcher: Researcher, idea: Idea, briefing: Briefing, claim: Claim) -> bool | None:
        """edit, check"""
        claimed = replace(briefing, experiment=claim.experiment)
        edit = await researcher.edit(idea, claimed, self.drafts.fresh(briefing.parent))
        wrong = fault(edit, briefing.parent, self.project)
        if wrong:
            await self.board.release(claim, wrong)
            return self._refuse(idea, wrong)
        code = code_of(briefing.parent, briefing.parent.edited(edit))
        entered = await self.board.enter(claim, code, "" if idea.again else await self._like(idea, code))
        if isinstance(entered, Duplicate):
            return self._refuse(idea, entered.told)
        self.refused.clear()
        return True

    async def _like(self, idea: Idea, code: Code) -> str:
        """The newest experiment whose change this one is very like; "" where there is none."""
        change = Change("", code.diff, f"{idea.title} {idea.rationale}")
        return next((other.experiment for other in await self.board.neighbours() if alike(change, other)), "")

    def _refuse(self, idea: Idea, why: str) -> None:
        self.refused.append(f"{idea.title}: {why}")

    # -- being alive -------------------------------------------------------------------------------------------

    async def _keep_lease(self) -> None:
        """Renews the lease whatever the researcher does; a stop now, or the loss of the lease, ends the run at once."""
        while True:
            try:
                word = await self.board.renew(self.name, self.fence)
            except Fenced:  # the slot is somebody else's: what runs here is in their way
                word = "now"
            if word == "now":
                await self.workshop.stop()
            await self.sleep(HEARTBEAT)

    async def halt(self) -> None:
        """Ends the running training; the next question to the board is answered with Stop."""
        await self.workshop.stop()

    def _on_progress(self, progress: Progress) -> None:
        self.progress = progress
        self.state = "measuring" if progress.phase == "measuring" else "training"

    def view(self) -> dict[str, Any]:
        """What the leaderboard shows of this agent, as plain values for live.json."""
        work, progress = self.work, self.progress
        return {
            "agent": self.name,
            "state": self.state,
            "note": self.note,
            "standin": self.standin,
            "experiment": work.experiment if work else None,
            "title": work.title if work else "",
            "purpose": str(work.purpose) if work else "",
            "budget": work.budget if work else 0.0,
            "step": progress.step if progress else None,
            "loss": progress.loss if progress else None,
            "seconds": progress.seconds if progress else 0.0,
        }


def _difference(parent: Source, source: Source) -> Edit:
    return Edit({path: content for path, content in source.files.items() if parent.files.get(path) != content})


async def _cancel(*tasks: asyncio.Future[Any] | None) -> None:
    """Ends the tasks; what they raise on the way is of no interest any more."""
    running = [task for task in tasks if task]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
