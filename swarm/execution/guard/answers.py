"""The answers of steps that measure: kept in the guard's folder, where no training writes. Stdlib only, for the guard.

A step that knows this folder, by the variable REFEREE_ANSWERS, writes there itself. Of any other one the guard takes
the answer out of the run folder as soon as the step has ended.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from swarm.execution.machine.plain_file import read_plain_file
from swarm.execution.machine.removal import remove
from swarm.execution.spec import Step

LARGEST = 2**20  # bytes of an answer


def make_room(step: Step) -> None:
    """Nothing is where the step is to answer, whoever put something there; the folder is."""
    for path in step.clears:
        remove(Path(path))
    if step.answer:
        remove(Path(step.answer))
        Path(step.answer).parent.mkdir(parents=True, exist_ok=True)


def take(step: Step) -> None:
    """Keeps what the step answered in the run folder, if it did not answer where it is kept."""
    if not step.answer or os.path.lexists(step.answer):
        return
    for path in step.clears:
        with contextlib.suppress(OSError):  # it gave none that can be one
            Path(step.answer).write_bytes(read_plain_file(Path(path), LARGEST))
