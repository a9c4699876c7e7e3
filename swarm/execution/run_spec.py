"""Builds the spec of a run: the commands of trainer and referee, in a sandbox or not, their environment and limits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from swarm.execution.checkout import Checkout
from swarm.execution.compiled import CompiledCode
from swarm.execution.known_times import KnownTimes
from swarm.execution.machine import cpu_group
from swarm.execution.reading.result_file import stamp
from swarm.execution.run_environment import OFFLINE, adapted, writable_caches
from swarm.execution.sandbox import call_filter
from swarm.execution.sandbox.gpu_nodes import gpu_nodes
from swarm.execution.sandbox.held_out import cache_of, held_out_of
from swarm.execution.sandbox.sandbox import Bounds, Sandbox
from swarm.execution.sandbox.whereabouts import described
from swarm.execution.slot import TOOK, UNTOUCHED, Limits, Overhead, Slot, timeout_from
from swarm.execution.spec import ANSWERS, GUARDS, HEARTBEAT, HIDDEN, MEASURES, REFEREE, SECOND, Spec, Step, mark_of
from swarm.execution.validity.checks import check_name
from swarm.execution.workspace import Workspace
from swarm.project.project import Project
from swarm.records import Measure, Purpose, Source

LOCK_FOLDER = Path("/tmp/autoresearch-locks")

REPORTED = (Purpose.CONFIRM, Purpose.CLOSING)  # whose models are measured on the hidden split as well
CLOSELY = (Purpose.REPLICATE, Purpose.REFRESH, Purpose.CONFIRM, Purpose.CLOSING, Purpose.ABLATE)  # people rely on them
HARNESS = "trainer/harness.py"  # the fixed file by which our own trainer is known: it counts, and starts no process

FREE_START = "SWARM_START"  # what it calls the seconds of a start that are no training


class SpecBuilder:
    """Builds the specs of the runs on one slot. `folder` is the agent's; `referee_workspace` is the referee's own."""

    def __init__(
        self,
        project: Project,
        folder: Path,
        slot: Slot,
        cache: Path | None,
        limits: Callable[[float, str, Overhead | None, float | None], Limits],
        sandboxed: bool,
        workspace: Workspace,
        referee_workspace: Workspace,
        checkout: Checkout,
    ) -> None:
        self._project, self._folder, self._slot, self._checkout = project, folder, slot, checkout
        self._cache = cache
        self._limits, self._sandboxed = limits, sandboxed
        self._workspace, self._referee_workspace = workspace, referee_workspace
        self._kept_code = CompiledCode(folder / "compiled")
        self._times = KnownTimes(folder)

    def build(self, work: Measure, artifacts: Path, source: Source) -> Spec:
        """The spec of a run of `source`, which writes to the folder `artifacts`."""
        self._kept_code.clear()
        limits = self._limits(work.budget, self._slot.device, self._times.overhead(), self._timeout(work.budget))
        root, referee_root = self._workspace.project_folder, self._referee_workspace.project_folder
        log = self._folder / "logs" / f"{work.run}.{work.attempt}"
        fixed = self._workspace.hashes(source)
        common = {
            "memory": limits.memory or self._slot.memory,
            "gpu": (self._slot.lock or None) if self._slot.device == "cuda" else None,
            "hard": self._slot.device in ("cpu", "sim"),
            "disk": limits.disk,
            "entries": limits.entries,
            "processes": limits.processes,
            "folders": [*map(str, (self._workspace.folder, artifacts, self._kept_code.live))],
            "nice": 5 if self._slot.device == "cpu" else 0,  # trainers on every core must leave time to the head
        }
        checks = work.purpose is Purpose.CHECK
        steps, bounds = (self._check_steps if checks else self._steps)(work, artifacts, log, limits, common)
        measures = bool(self._project.referee) and not checks
        if measures:
            fixed |= {os.path.relpath(referee_root / path, root): sha for path, sha in fixed.items()}
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
            budget=work.budget if measures else None,  # what others count as training is not known
            start=limits.start,
            cold=limits.cold,
            free=limits.free if self._counts else None,
            slack=limits.slack,
            end=limits.end,
            device=self._slot.device,
            reading=asdict(known) if (known := self._times.reading()) else None,
            counted=self._times.counted(),
            sandboxed=self._sandboxed,
            result_before=stamp(root / self._project.result) if self._project.result else "",
            links=self._checkout.links,
            bounds=described(bounds, self._checkout.root, checks or not self._starts_none(limits)),
            checks=checks,
        )

    def _steps(
        self, work: Measure, artifacts: Path, log: Path, limits: Limits, common: Mapping[str, Any]
    ) -> tuple[list[Step], Bounds | None]:
        """The trainer, and where there is one the referee, that of the hidden split; what the trainer may access."""
        copy, referee_copy = self._workspace.folder, self._referee_workspace.folder
        root, referee_root = self._workspace.project_folder, self._referee_workspace.project_folder
        environment, measuring = (self._environment(work, artifacts, folder) for folder in (root, referee_root))
        training, bounds = self._argv(self._project.command), None
        compiled = self._compiled("trainer", environment)
        # On a CPU readers compile nothing, and have nothing to write to.
        scratch = () if self._slot.device == "cpu" else (self._compiled("referee", measuring),)
        measuring |= {"REFEREE_BAR": f"{bar!r}"} if (bar := self._bar(work)) is not None else {}
        measuring |= {"REFEREE_SCRATCH": str(scratch[0])} if scratch else {}
        answers = self._folder / GUARDS / artifacts.name / ANSWERS
        measuring["REFEREE_ANSWERS"] = str(answers)
        if self._sandboxed:
            box, opened = self._sandbox(), self._opened(environment)
            bounds = box.bounds(training, (copy, artifacts, compiled), opened)
            inside = box.within(bounds, training)
            training = [*inside[: -len(training)], *self._confined(training, self._may_start(limits))]
            cage = box.command((), scratch, (*opened, referee_copy, artifacts))
            measuring["REFEREE_CAGE"] = json.dumps(cage)
        elif self._counts:
            training = self._confined(training, self._may_start(limits))
        if self._counts and limits.free is not None:
            environment[FREE_START] = f"{limits.free:.3f}"
        compiles = str(compiled) if self._slot.device == "cuda" else None
        steps = [
            Step(
                "trainer", training, str(root), env=environment, log=f"{log}.log", wall=limits.wall,
                cpu=limits.cpu, silence=limits.silence, heartbeat=str(artifacts / HEARTBEAT),
                beats=str(self._folder / GUARDS / artifacts.name / HEARTBEAT),
                cores=list(self._slot.cores), group=_in_group(limits), compiles=compiles, **common,
            )
        ]  # fmt: skip
        if self._project.referee:
            steps.append(
                Step(
                    MEASURES, self._argv(self._project.referee), str(referee_root), env=measuring,
                    log=f"{log}.referee.log", wall=limits.referee, clears=[str(artifacts / REFEREE)],
                    answer=str(answers / REFEREE), early=self._project.referee_waits,
                    # On a CPU it starts up on any core that is free: on its own it would slow the training down.
                    cores=[] if self._slot.device == "cpu" else list(self._slot.cores), **common,
                )
            )  # fmt: skip
            if self._project.hidden and work.purpose in REPORTED:
                steps.append(
                    replace(
                        steps[-1], name=SECOND, argv=self._argv(self._project.hidden), log=f"{log}.hidden.log",
                        early=False, clears=[str(artifacts / HIDDEN)], answer=str(answers / HIDDEN),
                    )
                )  # fmt: skip
        return steps, bounds

    def _check_steps(
        self, work: Measure, artifacts: Path, log: Path, limits: Limits, common: Mapping[str, Any]
    ) -> tuple[list[Step], Bounds | None]:
        """The project's checks, each a line for the shell, with the files, sandbox and variables of a training."""
        root = self._workspace.project_folder
        environment = self._environment(work, artifacts, root)
        commands, bounds = [["/bin/sh", "-c", text] for text in self._argv(self._project.checks)], None
        if self._sandboxed:
            box, opened = self._sandbox(), self._opened(environment)
            writable = (self._workspace.folder, artifacts, self._compiled("checks", environment))
            bounds = box.bounds(commands[0], writable, opened)
            inner = [self._confined(argv, call_filter.PROCESSES) for argv in commands]
            commands = [box.within(bounds, argv) for argv in inner]
        steps = [
            Step(
                check_name(number, text), argv, str(root), env=environment, log=f"{log}.check{number}.log",
                wall=limits.check, cores=list(self._slot.cores), **common,
            )
            for number, (text, argv) in enumerate(zip(self._project.checks, commands, strict=True), 1)
        ]  # fmt: skip
        return steps, bounds

    @property
    def _counts(self) -> bool:
        """Whether the fixed harness of our own trainer surrounds the training."""
        return HARNESS in self._project.fixed

    def _confined(self, argv: list[str], may_start: str) -> list[str]:
        """A program that stays on its slot's cores, writes what it takes of a disk, and starts only what it may."""
        confines = call_filter.works() and (self._counts or self._slot.cores)
        return call_filter.command(argv, may_start) if confines else argv

    def _may_start(self, limits: Limits) -> str:
        return call_filter.THREADS if self._starts_none(limits) else call_filter.PROCESSES

    def _starts_none(self, limits: Limits) -> bool:
        """Whether a training may start no process: nothing would count the CPU time of one that nobody waits for."""
        return call_filter.works() and self._counts and limits.cpu is not None and not _in_group(limits)

    def _opened(self, environment: Mapping[str, str]) -> tuple[Path, ...]:
        """What edited code may read in the sandbox beside what it may write."""
        return (cache_of(environment), *self._checkout.opened(self._project))

    def _argv(self, command: tuple[str, ...]) -> list[str]:
        return self._project.argv(command, self._checkout.root)

    # -- the sandbox -----------------------------------------------------------------------------------------------

    def _sandbox(self) -> Sandbox:
        """Hides the files of other runs and other swarms, and the held-out data; the slot's own GPU is there."""
        if self._slot.device == "cuda":
            from swarm.execution.machine import gpu  # heavy to import, and needed on a GPU only

            gpu.prepare_devices()
        held_out = held_out_of(self._project, self._environment_of_host(), self._checkout.root)
        hidden = next((path for path in self._folder.parents if path.name == ".swarm"), self._folder.parent)
        closed = (*held_out, *self._checkout.included.keys)
        above, network = self._checkout.manifests, self._project.network
        return Sandbox(
            *((hidden,), closed, self._folder / "blanks"),
            network=network,
            above=above,
            shared=not self._project.referee,
            devices=gpu_nodes(self._slot, self._counts),
        )

    def _compiled(self, step: str, environment: dict[str, str]) -> Path:
        """Where this run's tools keep what they compile: nobody else's, and in a sandbox the only such place."""
        folder = self._kept_code.fresh(step)
        environment |= {"TORCHINDUCTOR_CACHE_DIR": str(folder), "TRITON_CACHE_DIR": str(folder / "triton")}
        if self._sandboxed:
            environment |= writable_caches(folder / "tools")
        return folder

    def keep_compiled(self, source: Source) -> None:
        """Keeps what the run that has just ended compiled, if it was one of the untouched code."""
        if self._workspace.is_untouched(source):
            self._kept_code.keep()

    def _bar(self, work: Measure) -> float | None:
        """The number from which on the referee looks closely: the better one is a claim."""
        best = float("inf") if self._project.direction == "lower" else float("-inf")
        return best if work.purpose in CLOSELY else work.bar

    # -- how long the untouched code takes on this slot ------------------------------------------------------------

    def note_baseline(self, guard_folder: Path, values: Mapping[str, object]) -> None:
        """Keeps what a run of the untouched code took: in all its phases, and in the referee, as its `values` say."""
        self._times.note(guard_folder)
        self._times.note_reading(values)

    def _timeout(self, budget: float) -> float | None:
        """When a training is ended whatever it does: as the project says, or else by what the untouched code took.

        None where a referee measures: what is not training is done by then, and the budget gives the limits.
        """
        if self._project.timeout is not None or self._project.referee:
            return self._project.timeout
        took = self._times.known(TOOK)
        return UNTOUCHED if took is None else timeout_from(took, budget)

    # -- the environment -------------------------------------------------------------------------------------------

    def _environment(self, work: Measure, artifacts: Path, copy: Path) -> dict[str, str]:
        """The variables of a program that works in `copy`."""
        host = self._environment_of_host()
        if self._sandboxed and not self._project.network:
            host = {**OFFLINE, **host}
        return adapted(host, self._checkout.root, copy) | {
            "TIME_BUDGET": f"{work.budget:g}",
            "SWARM_SEED": str(work.seed),
            "SWARM_RUN_DIR": str(artifacts),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **mark_of(os.environ),
        }

    def _environment_of_host(self) -> dict[str, str]:
        env = self._slot.environment(os.environ, self._project.pass_env)
        return env if self._cache is None else env | {"AUTORESEARCH_CACHE": str(self._cache)}


def _in_group(limits: Limits) -> bool:
    """Whether a control group counts the CPU time of a training, where that is limited."""
    return limits.cpu is not None and cpu_group.is_available()
