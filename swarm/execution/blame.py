"""Whether a machine is to blame for a run that gave no number, and who says so.

The guard's clock, the kernel and the file system are witnesses. What a run printed or raised, and that it was killed or
fell silent, is its own word: good for another look, and no proof, as code can do all of that by itself
(swarm/board/own_word.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from swarm.execution.diagnosis import Failed
from swarm.execution.disk_monitor import RESERVE
from swarm.execution.spec import Spec, StepResult
from swarm.execution.summary import Value
from swarm.records import Failure

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


def witnessed(failed: Failed, folders: Iterable[str]) -> Failed:
    """The failure; no longer its own word alone where these folders' disk is as full as the run says."""
    if failed.own_word and failed.failure is Failure.INFRASTRUCTURE and any(map(_is_full, folders)):
        return Failed(Failure.INFRASTRUCTURE, f"the disk is full: {failed.reason}")
    return failed


def _is_full(folder: str) -> bool:
    """Whether next to nothing can be written there any more, as the file system itself says."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < RESERVE * 2**20 or (disk.f_files > 0 and disk.f_favail == 0)
