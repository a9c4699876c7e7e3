"""Ends what an earlier swarm left running: guards and their trees, found by pid and start time, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from swarm.execution.machine import process_table
from swarm.execution.spec import GUARD_FOLDER, RUNS, Result, Spec, State, UnreadableSpec

_PATIENCE = 60.0  # seconds beyond its grace that a guard gets for an orderly end, on a busy machine too


def end_guard(folder: Path) -> None:
    """Ends the guard that works in `folder`, which then writes its result; or, where it died, the rest of its tree.

    A guard that wrote its result is left alone: it only holds the GPU's lock for processes that could not be killed.

    Raises:
        UnreadableSpec: the guard's spec cannot be read; it and what it started are ended all the same.
    """
    state = State.read(folder)
    try:
        spec = Spec.read(folder)
    except UnreadableSpec:
        _end_orphans(folder, str(folder.parents[1] / RUNS / folder.name), state)
        raise
    if state is None or state.host != os.uname().nodename:
        return
    if Result.read(folder) is None and state.birth and process_table.birth(state.pid) == state.birth:
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGTERM)
            os.kill(state.pid, signal.SIGCONT)  # a stopped process receives SIGTERM only then
        deadline = time.monotonic() + spec.grace + _PATIENCE
        while process_table.birth(state.pid) == state.birth and time.monotonic() < deadline:
            time.sleep(0.02)
    if Result.read(folder) is None:
        _end_orphans(folder, spec.run_folder, state)


def _end_orphans(folder: Path, run_folder: str, state: State | None) -> None:
    """SIGKILL for the guard and its tree, found by pid and start time and by the folders named in their environment."""
    deadline = time.monotonic() + _PATIENCE
    variables = (f"{GUARD_FOLDER}={folder}", f"SWARM_RUN_DIR={run_folder}")
    known = ((state.pid, state.birth), (state.step_pid, state.step_birth)) if state else ()
    while time.monotonic() < deadline:
        roots = {pid for pid, birth in known if pid and birth and process_table.birth(pid) == birth}
        roots |= set().union(*map(process_table.with_variable, variables)) - {os.getpid()}
        processes = process_table.table()
        left = {pid: processes[pid] for pid in roots if pid in processes}
        for root in roots:
            left |= process_table.descendants(processes, root)
        if not left:
            return
        process_table.send(left.values(), signal.SIGKILL)
        time.sleep(0.02)
