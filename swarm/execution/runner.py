"""Runs on one slot: a fresh workspace, a guarded trainer and referee, progress on the way, one Run at the end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import swarm
from swarm.execution import cleanup
from swarm.execution.landlock import TEMPORARY
from swarm.execution.outcome import clocked, read_run
from swarm.execution.progress import read_progress
from swarm.execution.sandbox import Sandbox
from swarm.execution.seed_and_budget import turned
from swarm.execution.slot import Limits, Slot, limits_for
from swarm.execution.spec import (
    GUARD_ERRORS,
    GUARD_FOLDER,
    GUARDS,
    HEARTBEAT,
    HIDDEN,
    MODEL,
    REFEREE,
    RUNS,
    SECOND,
    SPEC,
    STOP,
    Damaged,
    Result,
    Spec,
    State,
    Step,
    write_whole,
)
from swarm.execution.workspace import Workspace, remove
from swarm.project.project import Project
from swarm.records import Failure, Measure, Progress, Purpose, Run, Source

LOCK_FOLDER = Path("/tmp/autoresearch-locks")

UNHEARD = 120.0  # seconds beyond all its limits after which a guard that says nothing counts as hung
REPORTED = (Purpose.CONFIRM, Purpose.CLOSING)  # whose models are measured on the hidden split as well
FREED, SLACK = 60.0, 0.1  # seconds, and share of a GPU's memory, within which it must be free again after a run
START = "start.json"  # seconds until the first heartbeat of a baseline run on this slot
_LOOK = 0.5  # seconds between looks at a run's progress


class Workshop:
    """Where one agent's runs happen.

    In `folder`, run/ is the workspace and referee/ a second one, which no training ever works in; runs/ holds what runs
    wrote (their SWARM_RUN_DIR), logs/ what they printed, and guards/ what their guards know, until a run is
    acknowledged.
    """

    def __init__(
        self,
        project: Project,
        base: bytes,
        folder: Path,
        slot: Slot,
        cache: Path | None = None,
        allowed: Iterable[str] = (),
        limits: Callable[[float, str, float | None], Limits] = limits_for,
        sandboxed: bool = False,
    ) -> None:
        self._project = project
        self._folder = folder.resolve()
        self._slot = slot
        self._cache = cache
        self._allowed = frozenset(allowed)
        self._limits = limits
        self._sandboxed = sandboxed
        self._workspace = Workspace(self._folder / "run", base, project)
        self._bench = Workspace(self._folder / "referee", base, project)
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._commands: IO[bytes] | None = None
        self._others: float | None = None  # GB of the GPU that others hold

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        """Trains `source` once and measures it. Never raises for what the trainer does: that is the Run's failure.

        `on_progress` is called about twice a second. Cancelling ends the process tree as `stop` does.
        """
        if not self._idle.is_set():
            raise RuntimeError(f"slot {self._slot.index} is running already")
        self._idle.clear()
        self._stopping = False
        try:
            if crowded := await self._crowded():
                return _lost(work, crowded)
            folder = await asyncio.to_thread(self._prepare, work, source)
            if not await self._guarded(folder, work.budget, on_progress):
                await asyncio.to_thread(cleanup.end_guard, folder)
            run = await asyncio.to_thread(read_run, folder, self._project)
            if run.metrics and work.purpose is Purpose.BASELINE:
                self._note_start(folder)
            return run
        except OSError as error:  # a full disk, no process left: the machine's fault, and the agent goes on
            return _lost(work, f"the run could not be set up: {error}")
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Ends what runs now and returns when nothing of it is left; that run comes back as INTERRUPTED."""
        self._stopping = True
        self._send_stop()
        await self._idle.wait()

    def leftovers(self) -> list[Run]:
        """Runs of an earlier life that nobody acknowledged, oldest first. What still ran of them is ended. Blocks.

        One whose order cannot be read any more is dropped: to the board it is lost, and made again.
        """
        found = []
        for spec in (self._folder / GUARDS).glob("*/" + SPEC):
            try:
                cleanup.end_guard(spec.parent)
                found.append(read_run(spec.parent, self._project))
            except Damaged:
                remove(spec.parent)
        return sorted(found, key=lambda run: run.started)

    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None:
        """The run is recorded: its artifacts are deleted, except the log and, if wanted, the model."""
        artifacts = self.run_folder(run, attempt)
        if keep_model and (artifacts / MODEL).is_file():
            for path in artifacts.iterdir():
                if path.name != MODEL:
                    remove(path)
        else:
            remove(artifacts)
        remove(self._guard_folder(run, attempt))

    def run_folder(self, run: str, attempt: int) -> Path:
        """Where the artifacts of a run are, its model among them."""
        return self._folder / RUNS / f"{run}.{attempt}"

    def _guard_folder(self, run: str, attempt: int) -> Path:
        return self._folder / GUARDS / f"{run}.{attempt}"

    # -- one run -----------------------------------------------------------------------------------------------

    async def _crowded(self) -> str:
        """Waits until the GPU is as free as it ever was here: memory comes back a moment after its process is gone.
        Why it is not, where that takes too long."""
        from swarm.execution import gpu  # heavy to import, and needed by none but an agent

        for _ in range(1 + int(FREED / _LOOK)):
            card = await asyncio.to_thread(gpu.load, self._slot.lock) if self._slot.device == "cuda" else None
            if card is None or self._stopping:
                return ""
            self._others = min(card.used_gb, card.used_gb if self._others is None else self._others)
            if card.used_gb <= self._others + SLACK * card.memory_gb:
                return ""
            await asyncio.sleep(_LOOK)
        held = ", ".join(f"{program} (pid {pid})" for pid, program in card.holders) or "nobody that can be seen"
        return f"{card.used_gb:.1f} of the {card.memory_gb:.0f} GB of {card.name} are in use, by {held}"

    def _prepare(self, work: Measure, source: Source) -> Path:
        folder, artifacts = self._guard_folder(work.run, work.attempt), self.run_folder(work.run, work.attempt)
        for made in (folder, artifacts):
            remove(made)
            made.mkdir(parents=True)
        (self._folder / "logs").mkdir(exist_ok=True)
        source = turned(source, work.seed, work.budget)
        self._workspace.fresh(source)
        if self._project.referee:
            self._bench.fresh(source)
        self._spec(work, artifacts, source).write(folder)
        return folder

    def _spec(self, work: Measure, artifacts: Path, source: Source) -> Spec:
        limits = self._limits(work.budget, self._slot.device, self._known_start())
        root, bench = self._workspace.folder, self._bench.folder
        log = self._folder / "logs" / f"{work.run}.{work.attempt}"
        fixed = self._workspace.hashes(source)
        environment = self._environment(work, artifacts)
        training, measuring = self._project.argv(self._project.command), dict(environment)
        if self._sandboxed:
            box, cache = self._sandbox(), cache_of(environment)
            compiled = self._compiled("trainer", environment), self._compiled("referee", measuring)
            training = box.command(training, (root, artifacts, compiled[0]), (cache,))
            measuring["REFEREE_CAGE"] = json.dumps(box.command((), (compiled[1],), (cache, bench, artifacts)))
        common = {
            "memory": limits.memory or self._slot.memory,
            "hard": self._slot.device in ("cpu", "sim"),
            "disk": limits.disk,
            "processes": limits.processes,
            "folders": [str(root), str(artifacts)],
            "nice": 5 if self._slot.device == "cpu" else 0,  # trainers that take every core leave the head awake
        }
        steps = [
            Step(
                "trainer", training, str(root), env=environment, log=f"{log}.log", wall=limits.wall,
                cpu=limits.cpu, silence=limits.silence, heartbeat=str(artifacts / HEARTBEAT),
                cores=list(self._slot.cores), **common,
            )
        ]  # fmt: skip
        if self._project.referee:
            fixed |= {f"../{bench.name}/{path}": sha for path, sha in fixed.items()}
            early = self._project.referee_waits
            steps.append(
                Step(
                    "referee", self._project.argv(self._project.referee), str(bench), env=measuring,
                    log=f"{log}.referee.log",
                    wall=limits.referee, clears=[str(artifacts / REFEREE)], early=early,
                    # On a CPU it gets warm on any core that is free: on its own it would slow the training down.
                    cores=[] if self._slot.device == "cpu" else list(self._slot.cores), **common,
                )
            )  # fmt: skip
            if self._project.hidden and work.purpose in REPORTED:
                second = self._project.argv(self._project.hidden)
                steps.append(
                    replace(
                        steps[-1], name=SECOND, argv=second, log=f"{log}.hidden.log", early=False,
                        clears=[str(artifacts / HIDDEN)],
                    )
                )  # fmt: skip
        lock = re.sub(r"[^A-Za-z0-9.-]", "-", self._slot.lock)
        return Spec(
            work.run,
            work.attempt,
            steps,
            run_folder=str(artifacts),
            root=str(root),
            fixed=fixed,
            lock=str(LOCK_FOLDER / f"{lock}.lock") if lock else None,
            lock_wait=limits.lock_wait,
            grace=limits.grace,
            budget=work.budget if self._project.referee else None,  # what others count as training is not known
            start=limits.start,
            slack=limits.slack,
            sandboxed=self._sandboxed,
        )

    def _sandbox(self) -> Sandbox:
        """Hides what other runs and other nights left, and the held-out data; the GPU's devices are there."""
        if self._slot.device == "cuda":
            from swarm.execution import gpu

            gpu.prepare_devices()
        held_out = held_out_of(self._project, self._environment_of_host())
        night = next((path for path in self._folder.parents if path.name == ".swarm"), self._folder.parent)
        return Sandbox((night,), held_out, self._folder / "blanks")

    def _compiled(self, step: str, environment: dict[str, str]) -> Path:
        """Where compiled code is kept from run to run: the shared place cannot be written to from inside."""
        folder = self._folder / "compiled" / step
        folder.mkdir(parents=True, exist_ok=True)
        remove(folder / TEMPORARY)
        environment |= {"TORCHINDUCTOR_CACHE_DIR": str(folder), "TRITON_CACHE_DIR": str(folder / "triton")}
        return folder

    # -- how long the untouched code takes to start on this slot ---------------------------------------------------

    def _note_start(self, folder: Path) -> None:
        result = Result.read(folder)
        if result and result.steps:
            start, _ = clocked(Spec.read(folder), result.steps[0])
            write_whole(self._folder / START, max(start, self._known_start() or 0.0))

    def _known_start(self) -> float | None:
        try:
            return float(json.loads((self._folder / START).read_text()))
        except (OSError, ValueError):
            return None

    def _environment(self, work: Measure, artifacts: Path) -> dict[str, str]:
        return self._environment_of_host() | {
            "TIME_BUDGET": f"{work.budget:g}",
            "SWARM_SEED": str(work.seed),
            "SWARM_RUN_DIR": str(artifacts),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _environment_of_host(self) -> dict[str, str]:
        env = self._slot.environment(os.environ, self._allowed)
        return env if self._cache is None else env | {"AUTORESEARCH_CACHE": str(self._cache)}

    async def _guarded(self, folder: Path, budget: float, on_progress: Callable[[Progress], None]) -> bool:
        """From the guard's start to its report (True), or to its death or deadline without one (False)."""
        started = time.monotonic()
        spec = Spec.read(folder)
        hung = started + spec.lock_wait + sum(step.wall for step in spec.steps) + UNHEARD
        heartbeat, log = Path(spec.run_folder, HEARTBEAT), Path(spec.steps[0].log)
        async with _guard(folder) as (report, commands):
            self._commands = commands
            if self._stopping:
                self._send_stop()
            ended = asyncio.ensure_future(report.readline())
            try:
                while not (await asyncio.wait({ended}, timeout=_LOOK))[0]:
                    if time.monotonic() > hung:
                        return False
                    state = State.read(folder)
                    phase = "measuring" if state and state.step in ("referee", SECOND) else "starting"
                    elapsed = time.monotonic() - started
                    on_progress(read_progress(heartbeat, log, budget, phase, elapsed))
                return bool(ended.result())
            finally:
                ended.cancel()
                self._commands = None

    def _send_stop(self) -> None:
        if self._commands:
            with suppress(BrokenPipeError):  # the guard is done already
                self._commands.write(STOP)


def cache_of(environment: Mapping[str, str]) -> Path:
    """Where the prepared data lies for a program with this environment."""
    return Path(environment.get("AUTORESEARCH_CACHE") or "~/.cache/autoresearch").expanduser().resolve()


def held_out_of(project: Project, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The project's held-out data, as far as it is prepared for a program with this environment."""
    cache = cache_of(environment)
    return tuple(sorted(path for pattern in project.held_out for path in cache.glob(pattern)))


@asynccontextmanager
async def _guard(folder: Path) -> AsyncIterator[tuple[asyncio.StreamReader, IO[bytes]]]:
    """A guard at work in `folder`: its report and its command pipe. Leaving, in whatever way, ends its tree."""
    environment = {"PYTHONPATH": str(Path(swarm.__file__).parents[1]), "PATH": os.environ.get("PATH", os.defpath)}
    environment[GUARD_FOLDER] = str(folder)
    with (folder / GUARD_ERRORS).open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", "swarm.execution.guard", str(folder)], bufsize=0, cwd=folder,
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
        )  # fmt: skip
    assert process.stdin and process.stdout
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    with process.stdin:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, process.stdout)
        with closing(transport):
            await asyncio.to_thread(process.wait)  # the first of its forks; the guard itself is nobody's child
            yield reader, process.stdin


def _lost(work: Measure, reason: str) -> Run:
    return Run(work.run, work.attempt, time.time(), 0.0, 0.0, failure=Failure.INFRASTRUCTURE, reason=reason)
