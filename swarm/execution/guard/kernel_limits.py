"""What the kernel holds a step to from its first instruction on. Stdlib only: the guard imports it."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

from swarm.execution.machine import process_table
from swarm.execution.machine.cpu_group import CpuGroup
from swarm.execution.spec import Step


def apply_limits(step: Step, group: CpuGroup | None) -> None:
    """Runs in the child before it becomes the step's program."""
    if group:
        with contextlib.suppress(OSError):  # then it is counted as without one
            group.enter()
    process_table.die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if step.disk:
        _limit(resource.RLIMIT_FSIZE, step.disk)
    if step.memory and step.hard:
        _limit(resource.RLIMIT_DATA, step.memory)
    if step.nice:
        os.nice(step.nice)
    if step.cores and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a container took these cores away: slower, not wrong
            os.sched_setaffinity(0, step.cores)
    with contextlib.suppress(OSError):  # out of memory, the kernel takes the trainer first, not the agent or the ledger
        Path("/proc/self/oom_score_adj").write_text("800")


def _limit(what: int, megabytes: float) -> None:
    """A hard limit of each single process; not above what this one has."""
    _, most = resource.getrlimit(what)
    limit = int(megabytes * 2**20)
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(what, (limit, limit))
