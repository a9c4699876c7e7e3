"""Makes runs on a slot of this machine: a fresh workspace, a guarded trainer and referee, one Run at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from msgspec.structs import replace

from swarm.errors import Unmakeable, is_of_the_machine
from swarm.execution import cleanup
from swarm.execution.checkout import Checkout
from swarm.execution.checkpoints import Checkpoints
from swarm.execution.guard.guard_process import started_guard
from swarm.execution.included import OTHER_DATA, Included
from swarm.execution.machine.plain_file import is_plain
from swarm.execution.machine.removal import ASIDE, remove, remove_set_aside
from swarm.execution.outcome import read_run
from swarm.execution.reading.progress import read_progress
from swarm.execution.run_spec import SpecBuilder
from swarm.execution.seed_and_budget import with_seed_and_budget
from swarm.execution.slot import Limits, Overhead, Slot, limits_for
from swarm.execution.spec import (
    GUARDS,
    HEARTBEAT,
    MEASURES,
    MODEL,
    RUNS,
    SECOND,
    SPEC,
    STOP,
    Result,
    Spec,
    State,
    UnreadableSpec,
)
from swarm.execution.validity.blame import stopped_by_nobody
from swarm.execution.workspace import ForbiddenEdit, Workspace
from swarm.project.project import Project
from swarm.records import Failure, Measure, Progress, Purpose, Run, Source
from swarm.text import one_line

if TYPE_CHECKING:
    from swarm.execution.machine.gpu_faults import GpuWatch

UNHEARD = 120.0  # seconds beyond all its limits after which a guard that reports nothing counts as hung
FREED, SLACK = 60.0, 0.1  # seconds, and share of a GPU's memory, within which it must be free again after a run
_LOOK = 0.5  # seconds between looks at a run's progress


class LocalRunner:
    """Makes the runs of one agent on this machine (swarm/execution/protocol.py).

    In `folder`, run/ is the workspace and referee/ a second one, which no training ever works in; runs/ holds what runs
    wrote (their SWARM_RUN_DIR), logs/ what they printed, and guards/ the files of their guards, until a run is
    acknowledged.
    """

    def __init__(
        self,
        project: Project,
        base: bytes,
        folder: Path,
        slot: Slot,
        cache: Path | None = None,
        limits: Callable[[float, str, Overhead | None, float | None], Limits] = limits_for,
        sandboxed: bool = False,
        checkout: Path | None = None,
    ) -> None:
        """`checkout` is the user's, where this machine has it: what runs include, and their environment, are there."""
        self._project = project
        self._folder = folder.resolve()
        self._slot = slot
        self._workspace = Workspace(self._folder / "run", base, project)
        self._referee_workspace = Workspace(self._folder / "referee", base, project)
        self._checkout = Checkout.of(checkout, project, self._workspace.paths)
        self._sandboxed = sandboxed
        self._specs = SpecBuilder(
            *(project, self._folder, slot, cache, limits, sandboxed),
            *(self._workspace, self._referee_workspace, self._checkout),
        )
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._commands: IO[bytes] | None = None
        self._used_by_others: float | None = None  # GB of the GPU's memory

    @property
    def included(self) -> Included:
        """What runs see of the user's checkout beyond its commit."""
        return self._checkout.included

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        """Trains `source` once and measures it. Never raises for what the trainer does: that is the Run's failure.

        `on_progress` is called about twice a second. Cancelling ends the process tree as `stop` does.
        """
        if not self._idle.is_set():
            raise RuntimeError(f"slot {self._slot.index} is running already")
        self._idle.clear()
        self._stopping = False
        try:
            if in_use := await self._memory_in_use():
                return _lost(work, in_use, machine=True)
            folder = await asyncio.to_thread(self._prepare, work, source)
            watch = await asyncio.to_thread(_watch, self._slot)
            checkpoints = Checkpoints(work.checkpoints)
            heard = await self._guarded(folder, work.budget, on_progress, checkpoints)
            if not heard:
                await asyncio.to_thread(cleanup.end_guard, folder)
            run = checkpoints.settled(await asyncio.to_thread(self._read, folder, work.purpose))
            if run.failure is Failure.INTERRUPTED and not self._stopping:
                run = stopped_by_nobody(run, heard)
            fault = await asyncio.to_thread(watch.fault) if watch else ""
            if run.failure and fault:
                reason = f"{fault}; the run: {run.reason}"[:300]
                run = replace(run, failure=Failure.INFRASTRUCTURE, reason=reason, own_word=False)
            if run.metrics and work.purpose is Purpose.BASELINE:
                self._specs.note_baseline(folder, run.metrics.values)
                await asyncio.to_thread(self._specs.keep_compiled, source)
            return run
        except UnreadableSpec as error:
            return replace(_lost(work, str(error), machine=True), own_word=True)
        except (OSError, Unmakeable, ForbiddenEdit) as error:
            machine = isinstance(error, OSError) and is_of_the_machine(error)
            return _lost(work, f"the run could not be set up: {error}", machine)
        except Exception as error:  # whatever an edit makes of its files ends its own run, and no agent
            return _lost(work, f"the run could not be made: {type(error).__name__}: {error}", machine=False)
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Ends the running training and returns when nothing of it is left; its run ends as INTERRUPTED."""
        self._stopping = True
        self._send_stop()
        await self._idle.wait()

    def leftovers(self) -> list[Run]:
        """Runs of an earlier swarm that nobody acknowledged, oldest first. What still ran of them is ended. Blocks.

        A run whose spec cannot be read any more is dropped: for the board it is lost, and made again.
        """
        found = []
        for folder in (self._folder, self._folder / RUNS, self._folder / GUARDS):
            remove_set_aside(folder)
        for spec in (self._folder / GUARDS).glob("*/" + SPEC):
            if spec.parent.name.startswith(ASIDE):
                continue
            try:
                cleanup.end_guard(spec.parent)
                run = read_run(spec.parent, self._project)
            except UnreadableSpec:
                run = None
            if run and self._guard_folder(run.run, run.attempt) == spec.parent:
                found.append(run)
            else:
                remove(spec.parent)
        return sorted(found, key=lambda run: run.started)

    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None:
        """The run is recorded: its artifacts are deleted, except the log and, if wanted, the model."""
        with suppress(OSError):  # without a sandbox a run may have made its folder unchangeable: then it stays
            self._clear(self.run_folder(run, attempt), keep_model)
        remove(self._guard_folder(run, attempt))

    def _clear(self, artifacts: Path, keep_model: bool) -> None:
        """Removes a run's folder, or all but its model. It may be asked again after a crash in the middle."""
        model, kept = artifacts / MODEL, artifacts.with_name(f"{artifacts.name}.{MODEL}")
        if keep_model and not artifacts.is_symlink() and is_plain(model):
            model.replace(kept)
        remove(artifacts)
        if kept.exists():
            artifacts.mkdir()
            kept.replace(model)

    def result(self, run: str, attempt: int) -> Result | None:
        """How the steps of a run ended that is not acknowledged yet; None where its guard left no word."""
        return Result.read(self._guard_folder(run, attempt))

    def spec(self, run: str, attempt: int) -> Spec:
        """What the guard of a run was told to do, of one that is not acknowledged yet."""
        return Spec.read(self._guard_folder(run, attempt))

    def run_folder(self, run: str, attempt: int) -> Path:
        """The folder of a run's artifacts, its model among them."""
        return self._folder / RUNS / f"{run}.{attempt}"

    def _guard_folder(self, run: str, attempt: int) -> Path:
        return self._folder / GUARDS / f"{run}.{attempt}"

    # -- one run -----------------------------------------------------------------------------------------------

    async def _memory_in_use(self) -> str:
        """Waits until the GPU's memory is as free as it ever was here: it is freed a moment after its process ended.
        "" then, or who uses it, where that takes too long."""
        from swarm.execution.machine import gpu  # heavy to import, and needed by none but an agent

        for _ in range(1 + int(FREED / _LOOK)):
            card = await asyncio.to_thread(gpu.load, self._slot.lock) if self._slot.device == "cuda" else None
            if card is None or self._stopping:
                return ""
            others = card.used_gb if self._used_by_others is None else min(card.used_gb, self._used_by_others)
            self._used_by_others = others
            if card.used_gb <= others + SLACK * card.memory_gb:
                return ""
            await asyncio.sleep(_LOOK)
        held = ", ".join(f"{program} (pid {pid})" for pid, program in card.holders) or "nobody that can be seen"
        return f"{card.used_gb:.1f} of the {card.memory_gb:.0f} GB of {card.name} are in use, by {held}"

    def _prepare(self, work: Measure, source: Source) -> Path:
        folder, artifacts = self._guard_folder(work.run, work.attempt), self.run_folder(work.run, work.attempt)
        for fresh in (folder, artifacts):
            remove(fresh)
            fresh.mkdir(parents=True)
        (self._folder / "logs").mkdir(exist_ok=True)
        source = with_seed_and_budget(source, work.seed, work.budget)
        self._checkout.place(self._workspace.fresh(source))
        if self._project.referee:
            self._checkout.place(self._referee_workspace.fresh(source))
        self._specs.build(work, artifacts, source).write(folder)
        return folder

    def _read(self, folder: Path, purpose: Purpose) -> Run:
        """The run; one that does not count where data is not as it was. In a sandbox no run can change it: somebody
        else did, and it is no run's fault."""
        run, included = read_run(folder, self._project), self._checkout.included
        changed = included.changed()
        if not changed or (self._sandboxed and included.is_as_before()):
            return run
        if self._sandboxed:
            reason = f"{changed[0]}, {OTHER_DATA}"
            return replace(run, metrics=None, failure=Failure.INFRASTRUCTURE, reason=reason, own_word=False)
        reason = f"{changed[0]} was changed, which is included to be read: a run may write to SWARM_RUN_DIR"
        if purpose is Purpose.CHECK:
            return replace(run, failure=Failure.CHECKS, reason=f"guard: {reason}")
        return replace(run, metrics=None, failure=Failure.INVALID, reason=reason)

    async def _guarded(
        self, folder: Path, budget: float, on_progress: Callable[[Progress], None], checkpoints: Checkpoints
    ) -> bool:
        """Runs a guard: True when it has reported its end, False where it died or hangs."""
        started = time.monotonic()
        spec = Spec.read(folder)
        hung = started + spec.lock_wait + sum(step.wall for step in spec.steps) + UNHEARD
        heartbeat, log = Path(spec.run_folder, HEARTBEAT), Path(spec.steps[0].log)
        async with started_guard(folder) as (report, commands):
            self._commands = commands
            if self._stopping:
                self._send_stop()
            reported = asyncio.ensure_future(report.readline())
            try:
                while not (await asyncio.wait({reported}, timeout=_LOOK))[0]:
                    if time.monotonic() > hung:
                        return False
                    state = State.read(folder)
                    late = spec.checks or bool(state and state.step in (MEASURES, SECOND))
                    phase = "measuring" if late else "starting"
                    elapsed = time.monotonic() - started
                    progress = _progress(heartbeat, log, budget, phase, elapsed)
                    on_progress(progress)
                    if checkpoints.due(progress) and await asyncio.to_thread(checkpoints.failed, heartbeat):
                        self._send_stop()
                return bool(reported.result())
            finally:
                reported.cancel()
                self._commands = None

    def _send_stop(self) -> None:
        if self._commands:
            with suppress(BrokenPipeError):  # the guard has ended already
                self._commands.write(STOP)


def _watch(slot: Slot) -> GpuWatch | None:
    """A watch over the slot's GPU, where it is one of NVIDIA's."""
    if slot.device != "cuda":
        return None
    from swarm.execution.machine.gpu_faults import GpuWatch  # heavy to import, and needed on a GPU only

    return GpuWatch(slot.lock)


def _progress(heartbeat: Path, log: Path, budget: float, phase: str, elapsed: float) -> Progress:
    """How far the run is. A look at it never ends it: what cannot be read is a failure once it has ended."""
    try:
        return read_progress(heartbeat, log, budget, phase, elapsed)
    except Exception:
        return Progress(phase, elapsed=elapsed)


def _lost(work: Measure, reason: str, machine: bool) -> Run:
    """A run that never began. Only a fault of the machine says nothing about the code, and is tried again."""
    failure = Failure.INFRASTRUCTURE if machine else Failure.CODE
    return Run(work.run, work.attempt, time.time(), 0.0, 0.0, failure=failure, reason=one_line(reason)[:300])
