"""Whether a machine is to blame for a run that gave no number, and who says so.

The guard's clock, the kernel and the file system are witnesses. What a run printed or raised, and that it was killed or
fell silent, is its own word: good for another look, and no proof, as code can do all of that by itself
(swarm/board/own_word.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from swarm.execution.guard.disk_monitor import RESERVE
from swarm.execution.reading.summary import Value
from swarm.execution.spec import Spec, Step, StepResult
from swarm.execution.validity.diagnosis import Failed
from swarm.records import Failure, Run

STOOD = 0.05  # share of a budget that a machine may stand still


def stalled(spec: Spec, trainer: StepResult, printed: Mapping[str, Value]) -> Failed | None:
    """A training whose machine stood still: its own clock leaves that time out, and the one outside cannot.

    Where the guard saw nothing of it, only the training's word is left. Without a budget that is counted by the clock,
    time in which nothing happened changes nothing.
    """
    if spec.budget is None or spec.steps[0].cpu is not None:
        return None
    if trainer.stood_still > STOOD * spec.budget:
        return Failed(Failure.STALL, f"the machine stood still for {trainer.stood_still:.0f} s")
    if printed.get("stalled") != "true":
        return None
    return Failed(Failure.STALL, "it says that the machine stalled for too much of the budget", own_word=True)


def witnessed(failed: Failed, step: Step) -> Failed:
    """The failure; no longer its own word alone where the disk of the step's folders is full now that it has ended:
    what it took itself and gave back is no fault of the machine."""
    folders = (*step.folders, str(Path(step.log).parent))
    if failed.own_word and failed.failure is Failure.INFRASTRUCTURE and any(map(_is_full, folders)):
        return Failed(Failure.INFRASTRUCTURE, f"the disk is full: {failed.reason}")
    return failed


def stopped_by_nobody(run: Run, heard: bool) -> Run:
    """A run whose guard was stopped by a signal that nobody here sent, or was ended as it was not `heard` any more:
    code can do both to the guard above it, as can whoever looks after this machine."""
    who = "nobody knows by whom" if heard else "as it did not answer any more"
    return replace(run, failure=Failure.INFRASTRUCTURE, reason=f"its guard was stopped, {who}", own_word=True)


def _is_full(folder: str) -> bool:
    """Whether next to nothing can be written there any more, as the file system itself says."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < RESERVE * 2**20 or (disk.f_files > 0 and disk.f_favail == 0)
