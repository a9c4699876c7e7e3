"""Measures what a run costs beside its training: the sandbox, the trainer's start, the referee and the guard.

The untouched code is trained and measured as in a swarm, on the first slot. On a CPU seconds are CPU-seconds, as the
budget is counted there, so that a busy machine does not change them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from swarm.errors import SwarmError, UsageError
from swarm.execution.runner import LocalRunner
from swarm.execution.sandbox import sandbox
from swarm.execution.spec import GUARDS, Result, Spec
from swarm.execution.validity.clock_check import phases_of
from swarm.launch.plan import Plan, base_tree, environment, make_plan
from swarm.project.settings import Config
from swarm.records import Measure, Purpose

_TRIES = 7  # of the sandbox's own start
_REAL = 300.0  # seconds of an ordinary run, on which the shares are projected


def measure(root: Path, budget: float) -> dict[str, Any]:
    """One flat object, in seconds: `start` until the first heartbeat, `training`, `referee`, `sandbox` (entering it,
    once per process that is put into one), and `rest_wall`, the wall time around the steps: workspace, guard, files.

    `referee_share` is of this budget, `share_of_300` what sandbox and referee would be of 300 s, if the referee took no
    longer there. UsageError where the project has no referee; SwarmError where the run gives no number.
    """
    plan = make_plan(root, Config(tag="overhead", budget=budget, agents=1).check(), thinks=False)
    if not plan.project.referee:
        raise UsageError("bench --overhead measures the referee: this project has none")
    os.environ.update(environment(plan))
    with tempfile.TemporaryDirectory(prefix="swarm-overhead-") as folder:
        steps = _run(plan, Path(folder))
    entering = _entering()
    cost = steps["referee"] + 2 * (entering or 0.0)  # the trainer's sandbox and the candidates' one
    return {
        "device": plan.device,
        "budget": budget,
        "sandboxed": entering is not None,
        **{name: round(seconds, 3) for name, seconds in steps.items()},
        "sandbox": None if entering is None else round(entering, 4),
        "referee_share": round(steps["referee"] / budget, 4),
        "share_of_300": round(cost / _REAL, 4),
    }


def _run(plan: Plan, folder: Path) -> dict[str, float]:
    slot = next(iter(plan.slots.values()))
    sandboxed = not sandbox.missing()
    runner = LocalRunner(plan.project, base_tree(plan), folder, slot, sandboxed=sandboxed, checkout=plan.root)
    sha = plan.code.source.sha
    work = Measure("overhead", 1, "overhead", "overhead", Purpose.FIRST, 1, sha, sha, plan.budget)
    began = time.monotonic()
    run = asyncio.run(runner.run(work, plan.code.source, lambda progress: None))
    wall = time.monotonic() - began
    if run.metrics is None:
        raise SwarmError(f"the run gave no number: {run.reason}")
    guard = folder / GUARDS / "overhead.1"
    spec, result = Spec.read(guard), Result.read(guard)
    assert result, "a run with a number has a result"
    trainer, referee = result.steps
    phases = phases_of(spec, trainer)
    used = referee.seconds if spec.steps[0].cpu is None else referee.cpu_seconds
    return {"start": phases.before, "training": phases.training, "referee": used, "rest_wall": wall - run.seconds}


def _entering() -> float | None:
    """Wall seconds that a program costs more in the sandbox than outside it; None without one."""
    if sandbox.missing():
        return None
    with tempfile.TemporaryDirectory() as folder:
        inside = sandbox.Sandbox((), (), Path(folder)).command(["true"], ())
        return max(0.0, _seconds(inside) - _seconds(["true"]))


def _seconds(command: list[str]) -> float:
    taken = []
    for _ in range(_TRIES):
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.monotonic() - began)
    return median(taken)
