"""The memory that a training took, as it was seen from outside: what it prints about that is only its word."""

from __future__ import annotations

from collections.abc import Iterable

from swarm.execution.spec import Spec, StepResult
from swarm.judge.guards import MB_OF, memory_name


def peak_mb(spec: Spec, training: StepResult) -> float | None:
    """The peak of the memory that models are limited by: of the GPU's, or on a CPU of the processes'. None where
    nothing measures it, as on Apple's GPUs, or with a driver that does not tell."""
    match spec.steps[0].env.get("SWARM_DEVICE"):
        case "cuda":
            return training.gpu_peak_mb
        case "cpu":
            return training.peak_mb
    return None


def measured_values(spec: Spec, training: StepResult, guards: Iterable[str]) -> dict[str, float]:
    """Those of the guards that are peaks of memory, by name, in the unit that their name says, as far as they were
    measured."""
    found = {}
    for name in guards:
        what, unit = memory_name(name)
        peak = training.peak_mb if what in ("ram", "rss") else peak_mb(spec, training)
        if what and peak is not None:
            found[name] = round(peak / MB_OF[unit], 4)
    return found
