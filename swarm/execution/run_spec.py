"""Builds the spec of a run: the commands of trainer and referee, in a sandbox or not, their environment and limits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from swarm.execution.checkout import Checkout
from swarm.execution.closed import described
from swarm.execution.landlock import TEMPORARY
from swarm.execution.outcome import clocked
from swarm.execution.run_environment import OFFLINE, adapted, writable_caches
from swarm.execution.sandbox import Sandbox
from swarm.execution.slot import Limits, Slot
from swarm.execution.spec import HEARTBEAT, HIDDEN, REFEREE, SECOND, Result, Spec, Step, write_whole
from swarm.execution.workspace import Workspace, remove
from swarm.project.project import Project
from swarm.records import Measure, Purpose, Source

LOCK_FOLDER = Path("/tmp/autoresearch-locks")

REPORTED = (Purpose.CONFIRM, Purpose.CLOSING)  # whose models are measured on the hidden split as well
START = "start.json"  # seconds until the first heartbeat of a baseline run on this slot


class SpecBuilder:
    """Builds the specs of the runs on one slot. `folder` is the agent's; `referee_workspace` is the referee's own."""

    def __init__(
        self,
        project: Project,
        folder: Path,
        slot: Slot,
        cache: Path | None,
        limits: Callable[[float, str, float | None], Limits],
        sandboxed: bool,
        workspace: Workspace,
        referee_workspace: Workspace,
        checkout: Checkout,
    ) -> None:
        self._project, self._folder, self._slot, self._checkout = project, folder, slot, checkout
        self._cache = cache
        self._limits, self._sandboxed = limits, sandboxed
        self._workspace, self._referee_workspace = workspace, referee_workspace

    def build(self, work: Measure, artifacts: Path, source: Source) -> Spec:
        """The spec of a run of `source`, which writes to the folder `artifacts`."""
        limits = self._limits(work.budget, self._slot.device, self._known_start())
        root, referee_root = self._workspace.folder, self._referee_workspace.folder
        log = self._folder / "logs" / f"{work.run}.{work.attempt}"
        fixed = self._workspace.hashes(source)
        environment, measuring = (self._environment(work, artifacts, copy) for copy in (root, referee_root))
        training, bounds = self._argv(self._project.command), None
        if self._sandboxed:
            box, opened = self._sandbox(), (cache_of(environment), *self._checkout.opened(self._project))
            compiled = self._compiled("trainer", environment), self._compiled("referee", measuring)
            bounds = box.bounds(training, (root, artifacts, compiled[0]), opened)
            training = box.command(training, (root, artifacts, compiled[0]), opened)
            measuring["REFEREE_CAGE"] = json.dumps(box.command((), (compiled[1],), (*opened, referee_root, artifacts)))
        common = {
            "memory": limits.memory or self._slot.memory,
            "hard": self._slot.device in ("cpu", "sim"),
            "disk": limits.disk,
            "processes": limits.processes,
            "folders": [str(root), str(artifacts)],
            "nice": 5 if self._slot.device == "cpu" else 0,  # trainers on every core must leave time to the head
        }
        steps = [
            Step(
                "trainer", training, str(root), env=environment, log=f"{log}.log", wall=limits.wall,
                cpu=limits.cpu, silence=limits.silence, heartbeat=str(artifacts / HEARTBEAT),
                cores=list(self._slot.cores), **common,
            )
        ]  # fmt: skip
        if self._project.referee:
            fixed |= {f"../{referee_root.name}/{path}": sha for path, sha in fixed.items()}
            steps.append(
                Step(
                    "referee", self._argv(self._project.referee), str(referee_root), env=measuring,
                    log=f"{log}.referee.log", wall=limits.referee, clears=[str(artifacts / REFEREE)],
                    early=self._project.referee_waits,
                    # On a CPU it starts up on any core that is free: on its own it would slow the training down.
                    cores=[] if self._slot.device == "cpu" else list(self._slot.cores), **common,
                )
            )  # fmt: skip
            if self._project.hidden and work.purpose in REPORTED:
                hidden = self._argv(self._project.hidden)
                steps.append(
                    replace(
                        steps[-1], name=SECOND, argv=hidden, log=f"{log}.hidden.log", early=False,
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
            links=self._checkout.links,
            bounds=described(bounds, self._checkout.root, self._project),
        )

    def _argv(self, command: tuple[str, ...]) -> list[str]:
        return self._project.argv(command, self._checkout.root)

    # -- the sandbox -----------------------------------------------------------------------------------------------

    def _sandbox(self) -> Sandbox:
        """Hides the files of other runs and other swarms, and the held-out data; the GPU's devices are there."""
        if self._slot.device == "cuda":
            from swarm.execution import gpu  # heavy to import, and needed on a GPU only

            gpu.prepare_devices()
        held_out = held_out_of(self._project, self._environment_of_host(), self._checkout.root)
        hidden = next((path for path in self._folder.parents if path.name == ".swarm"), self._folder.parent)
        closed = (*held_out, *self._checkout.included.keys)
        above, network = self._checkout.manifests, self._project.network
        return Sandbox((hidden,), closed, self._folder / "blanks", network=network, above=above)

    def _compiled(self, step: str, environment: dict[str, str]) -> Path:
        """Where compiled code is kept from run to run, as the shared place cannot be written to from inside."""
        folder = self._folder / "compiled" / step
        folder.mkdir(parents=True, exist_ok=True)
        remove(folder / TEMPORARY)
        environment |= {"TORCHINDUCTOR_CACHE_DIR": str(folder), "TRITON_CACHE_DIR": str(folder / "triton")}
        environment |= writable_caches(folder / "tools")
        return folder

    # -- how long the untouched code takes to start on this slot ---------------------------------------------------

    def note_start(self, guard_folder: Path) -> None:
        """Keeps how long this baseline run took to start."""
        result = Result.read(guard_folder)
        if result and result.steps:
            start, _ = clocked(Spec.read(guard_folder), result.steps[0])
            write_whole(self._folder / START, max(start, self._known_start() or 0.0))

    def _known_start(self) -> float | None:
        try:
            return float(json.loads((self._folder / START).read_text()))
        except (OSError, ValueError):
            return None

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
        }

    def _environment_of_host(self) -> dict[str, str]:
        env = self._slot.environment(os.environ, self._project.pass_env)
        return env if self._cache is None else env | {"AUTORESEARCH_CACHE": str(self._cache)}


def cache_of(environment: Mapping[str, str]) -> Path:
    """The folder of the prepared data for a program with this environment."""
    return Path(environment.get("AUTORESEARCH_CACHE") or "~/.cache/autoresearch").expanduser().resolve()


def held_out_of(project: Project, environment: Mapping[str, str], root: Path | None = None) -> tuple[Path, ...]:
    """The project's held-out data, as far as it is prepared for a program with this environment, or is included from
    the checkout at `root`."""
    places = (cache_of(environment), *((root,) if root and project.include else ()))
    found = {path.resolve() for place in places for pattern in project.held_out for path in place.glob(pattern)}
    return tuple(sorted(found))
