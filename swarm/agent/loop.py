"""The research loop of one agent, on one GPU: ask the board for work, run, record. The board judges what is recorded.

What comes before a run (brief, propose, claim, edit, check) is in drafting.py: while one experiment trains, the next is
already drafted, and while a crash is repaired, the GPU works for other agents. All collaborators are handed in, so that
the simulator runs this very code on a virtual clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec.structs import replace

from swarm.agent.drafting import Drafting, Drafts, cancel
from swarm.agent.edit_check import fault
from swarm.agent.leave_out import LineCode, leave_out, refused
from swarm.agent.merge import merge
from swarm.board.client import BoardClient
from swarm.errors import Fenced, MachineFault, SwarmError
from swarm.execution.protocol import StoppableRunner
from swarm.novelty.code import code_of
from swarm.project.project import Project
from swarm.records import (
    Edit,
    Failure,
    LeaveOut,
    Measure,
    Outcome,
    Progress,
    Purpose,
    Rebase,
    Repair,
    Rest,
    Run,
    Status,
    Stop,
    Verdict,
    Work,
)
from swarm.researchers.protocol import Researcher

HEARTBEAT = 15.0  # seconds between renewals of the lease
MACHINE_FAULTS = 3  # infrastructure failures in a row after which this GPU rests, and others take its work
CRASHES = 6  # in a row, after which there is a warning and the fallback is asked for a while


class Agent:
    """An agent: owns one slot and one branch. `live()` returns when the swarm ends, with the reason."""

    def __init__(
        self,
        name: str,
        project: Project,
        board: BoardClient,
        runner: StoppableRunner,
        drafts: Drafts,
        researcher: Researcher,
        fallback: Researcher | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        heartbeat: float = HEARTBEAT,
    ):
        self.heartbeat = heartbeat
        self.name, self.project, self.board = name, project, board
        self.runner, self.sleep = runner, sleep
        self.drafting = Drafting(name, project, board, drafts, researcher, fallback, sleep)
        self.fence, self.faults, self.crashes = 0, 0, 0
        self.state, self.note = "resting", "starting"
        self.work: Measure | None = None
        self.progress: Progress | None = None

    async def live(self) -> str:
        """Asks the board for work and does it, until the swarm ends; MachineFault where runs only fail here."""
        self.fence = self.drafting.fence = await self.board.join(self.name)
        heartbeat = asyncio.create_task(self._keep_lease())
        try:
            for run in await asyncio.to_thread(self.runner.leftovers):  # finished while no agent ran
                await self._record(run)
            while not isinstance(work := await self._next_work(), Stop):
                self.drafting.ahead()
                await self._do(work)
        except MachineFault:
            with contextlib.suppress(Fenced):
                await self.board.retire(self.name, self.fence)
            raise
        finally:
            await cancel(heartbeat, *self.drafting.thoughts)  # at once: a second cancellation leaves none
        self.state, self.note = "stopped", work.reason
        with contextlib.suppress(Fenced):  # the lease is gone already
            await self.board.leave(self.name, self.fence)
        return work.reason

    async def _next_work(self) -> Work:
        """What the GPU does next; while a crash is being repaired, nothing of that experiment."""
        return await self.board.next_work(self.name, self.fence, mending=self.drafting.mending())

    async def _do(self, work: Work) -> None:
        match work:
            case Measure():
                await self._run_once(work)
            case Rebase():
                await self._rebase(work)
            case Repair():
                self.drafting.mend(work)
            case LeaveOut():
                await self._leave_out(work)
            case Rest():
                await self._rest(work)

    # -- one run -----------------------------------------------------------------------------------------------

    async def _run_once(self, work: Measure) -> None:
        """run, record. MachineFault after several infrastructure failures in a row."""
        run = await self._run(work)
        self.drafting.run_seconds = run.seconds
        verdict = await self._record(run)
        await self._watch_crashes(verdict, run)
        taken = verdict is not None and work.purpose is not Purpose.BASELINE  # by the board, for its code's own failure
        self.faults = self.faults + 1 if run.failure is Failure.INFRASTRUCTURE and not taken else 0
        if self.faults >= MACHINE_FAULTS:
            raise MachineFault(f"{self.faults} faults of the machine in a row: {run.reason}")

    async def _run(self, work: Measure) -> Run:
        """Trains and measures, guarded and in the sandbox."""
        self.state, self.note, self.work, self.progress = "training", "", work, None
        source = await self.board.source(work.source)
        training = self.runner.run(work, source, self._on_progress)
        run = await (self._cut_short(training) if work.purpose is Purpose.FILLER else training)
        self.work, self.progress = None, None
        return run

    async def _cut_short(self, filler: Coroutine[Any, Any, Run]) -> Run:
        """A filler only passes the time: it is stopped as soon as a draft waits, or none will come any more."""
        training = asyncio.ensure_future(filler)
        try:
            await asyncio.wait(filter(None, (training, self.drafting.awaited)), return_when=asyncio.FIRST_COMPLETED)
            if not training.done():
                await self.runner.stop()
            return await training
        finally:
            await cancel(training)

    async def _record(self, run: Run) -> Verdict | None:
        """Records the run, and has it judged where it decides something. Only then are its files deleted, except for
        the model of what is kept, or would be if its checks pass."""
        try:
            verdict = await self.board.record(self.name, self.fence, run)
        except SwarmError:
            raise
        except Exception as error:  # nobody can reckon with what it gave: its own failure, and no agent's end
            run = beyond_reckoning(run, error)
            verdict = await self.board.record(self.name, self.fence, run)
        kept = verdict is not None and (verdict.status is Status.KEEP or verdict.outcome is Outcome.UNCHECKED)
        self.runner.acknowledge(run.run, run.attempt, keep_model=kept)
        return verdict

    async def _watch_crashes(self, verdict: Verdict | None, run: Run) -> None:
        """After many crashes in a row: a warning, and the fallback is asked for the next ideas."""
        if verdict is None or verdict.status is None:
            return
        self.crashes = self.crashes + 1 if verdict.status is Status.CRASH else 0
        if self.crashes and self.crashes % CRASHES == 0:
            benched = self.drafting.bench()
            instead = f"; the sweep has the next {benched} ideas" if benched else ""
            await self.board.warn(self.name, f"{self.crashes} crashes in a row, the last: {run.reason}{instead}")

    # -- other work --------------------------------------------------------------------------------------------

    async def _rebase(self, work: Rebase) -> None:
        """The trunk moved: the same edit on its new tip, merged or else made anew; or the experiment is given up."""
        base, ours, theirs = [await self.board.source(sha) for sha in (work.base, work.source, work.onto)]
        merged = await asyncio.to_thread(merge, base, ours, theirs)
        if merged is None:
            self.state, self.note = "drafting", f"carrying over {work.idea.title}"
            merged = await self.drafting.edit_again(work, theirs)
        if merged is None or fault(Edit(merged.files), theirs, self.project):
            await self.board.rebase(self.name, self.fence, work, None)
            return
        await self.board.rebase(self.name, self.fence, work, code_of(theirs, merged))

    async def _leave_out(self, work: LeaveOut) -> None:
        """The line without some of its steps; or why such code may not run."""
        self.state, self.note = "drafting", "leaving out what may not matter"
        line = [
            LineCode(name, await self.board.source(before), await self.board.source(after))
            for name, before, after in work.line
        ]
        made, steps = await asyncio.to_thread(leave_out, line, work.wanted)
        why = refused(made, line[-1].after, self.project)
        await self.board.left_out(self.name, self.fence, work, made, steps, why)

    async def _rest(self, work: Rest) -> None:
        """Waits, at most until the draft is ready or the crash is repaired."""
        stuck = self.drafting.stuck
        self.state, self.note = ("resting", stuck) if stuck else ("drafting", work.reason)
        waiting = asyncio.ensure_future(self.sleep(work.seconds))
        thinking = self.drafting.awaited or waiting
        try:
            await asyncio.wait({waiting, thinking}, return_when=asyncio.FIRST_COMPLETED)
            if thinking.done() and not thinking.result():
                await waiting
        finally:
            await cancel(waiting)

    # -- being alive -------------------------------------------------------------------------------------------

    async def _keep_lease(self) -> None:
        """Renews the lease, whatever the researcher does. A stop, or the loss of the lease, ends the run at once."""
        while True:
            try:
                word = await self.board.renew(self.name, self.fence)
            except Fenced:  # another agent has this slot now
                word = "now"
            if word == "now":
                await self.runner.stop()
            await self.sleep(self.heartbeat)

    async def halt(self) -> None:
        """Ends the running training; the next question to the board is answered with Stop."""
        await self.runner.stop()

    def _on_progress(self, progress: Progress) -> None:
        self.progress = progress
        self.state = "measuring" if progress.phase == "measuring" else "training"

    def view(self) -> dict[str, Any]:
        """What the leaderboard shows of this agent, as plain values for live.json."""
        work, progress = self.work, self.progress
        return {
            "agent": self.name,
            "state": self.state,
            "note": self.drafting.waits or self.note,
            "standin": self.drafting.standin,
            "experiment": work.experiment if work else None,
            "title": work.title if work else "",
            "purpose": str(work.purpose) if work else "",
            "budget": work.budget if work else 0.0,
            "step": progress.step if progress else None,
            "loss": progress.loss if progress else None,
            "seconds": progress.seconds if progress else 0.0,
        }


def beyond_reckoning(run: Run, error: Exception) -> Run:
    """The run as a failure of its code: what it gave made the board fail with this error."""
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    reason = f"what it gave cannot be judged: {said}"[:300]
    return replace(run, metrics=None, trace=(), curve=(), failure=Failure.CODE, reason=reason)
