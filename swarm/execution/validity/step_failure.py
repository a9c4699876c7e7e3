"""Why a step of a run failed: the guard ended it, the referee refused the run, or it ended by itself."""

from __future__ import annotations

from dataclasses import replace

from swarm import foreign
from swarm.execution.machine.folder_walk import DEEPEST
from swarm.execution.reading.logs import read_object
from swarm.execution.reading.progress import Heartbeat
from swarm.execution.spec import EndedBy, Spec, Step, StepResult
from swarm.execution.validity.diagnosis import Failed, diagnose, interrupted, last_line
from swarm.execution.validity.overrun import doing, raise_timeout
from swarm.records import Failure

INVALID_EXIT = 3  # the referee's exit code for a candidate that cheats
MACHINE_EXIT = 4  # and for a machine on which it cannot measure
NO_SPACE = "it was ended when the disk had no space left"


def step_failure(step: StepResult, spec: Spec, heartbeats: tuple[Heartbeat, ...], tail: str) -> Failed:
    """Why a step failed: the guard ended it, the referee refused the run, or it ended by itself."""
    limits = spec.steps[0 if step.name == spec.steps[0].name else -1]
    whose = "" if limits is spec.steps[0] else f"the {step.name}: "
    match step.ended_by:
        case EndedBy.STOP | EndedBy.AGENT:
            return interrupted(step.ended_by)
        case EndedBy.DEADLINE:
            return _late(f"{whose}it still ran after {limits.wall:.0f} s", whose, limits, step, heartbeats, tail)
        case EndedBy.CPU:
            used = f"{whose}it used more than {limits.cpu:.0f} CPU-seconds"
            return _late(used, whose, limits, step, heartbeats, tail)
        case EndedBy.MEMORY:
            if limits.memory is None or step.memory_mb <= limits.memory:
                left = "which left this machine next to none"
                return Failed(Failure.OOM, f"{whose}it took {step.memory_mb:.0f} MB of memory, {left}")
            return Failed(Failure.OOM, f"{whose}it took more than {limits.memory:.0f} MB of memory")
        case EndedBy.PROCESSES:
            return Failed(Failure.CODE, f"{whose}it ran more than {limits.processes} processes")
        case EndedBy.DISK:
            return Failed(Failure.CODE, f"{whose}it wrote more than {limits.disk or 0:.0f} MB")
        case EndedBy.FILES:
            return Failed(Failure.CODE, f"{whose}it made more than {limits.entries} files and folders")
        case EndedBy.DEPTH:
            return Failed(Failure.CODE, f"{whose}it made folders more than {DEEPEST} deep in each other")
        case EndedBy.FILLED:
            return Failed(Failure.CODE, f"{whose}it wrote {step.written_mb:.0f} MB, which filled the disk")
        case EndedBy.FULL:
            return Failed(Failure.INFRASTRUCTURE, NO_SPACE, own_word=True)
        case EndedBy.STALL:
            own_word = step.stood_still < (limits.silence or 0.0)
            return Failed(Failure.STALL, f"{whose}no heartbeat for {limits.silence:.0f} s", own_word=own_word)
    if step.exit == INVALID_EXIT and whose:
        refusal = foreign.text(read_object(spec.answer(step.name)).get("invalid"))
        return Failed(Failure.INVALID, refusal or last_line(tail) or "the referee refused it")
    if step.exit == MACHINE_EXIT and whose:
        cannot = whose + (last_line(tail) or "this machine cannot measure")
        return Failed(Failure.INFRASTRUCTURE, cannot, own_word=True)
    failed = diagnose(step, heartbeats, tail)
    return replace(failed, reason=whose + failed.reason)


def _late(
    what: str, whose: str, limits: Step, step: StepResult, heartbeats: tuple[Heartbeat, ...], tail: str
) -> Failed:
    """A step whose time was up: what it was doing, and what to raise; the referee's limits are nobody's to raise."""
    if whose:
        return Failed(Failure.TIMEOUT, what)
    return Failed(Failure.TIMEOUT, f"{what}, {doing(limits, step, heartbeats, tail)}; {raise_timeout(step.seconds)}")
