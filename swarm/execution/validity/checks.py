"""The project's checks: commands that must exit with 0 on code that would be kept. A run of them gives no number."""

from __future__ import annotations

import signal
from pathlib import Path

from swarm.execution.reading.logs import clean, tail_of
from swarm.execution.reading.passed import passed_values, without
from swarm.execution.sandbox.closed import remedy
from swarm.execution.sandbox.whereabouts import Place
from swarm.execution.spec import SPEC, EndedBy, Result, Spec, Step, StepResult
from swarm.execution.validity.blame import witnessed
from swarm.execution.validity.diagnosis import Failed, interrupted, unfinished
from swarm.execution.validity.step_failure import NO_SPACE
from swarm.project.project import Project
from swarm.records import Failure, Run

LINES = 3  # of a failed check's output that stand in the reason
NOT_FOUND = 127  # the shell's exit code for a command that is not there


def check_name(number: int, text: str) -> str:
    """The name of a check's step, which holds what people wrote."""
    return f"check {number}: {text}"


def read_checks(folder: Path, spec: Spec, result: Result | None, project: Project) -> Run:
    """The run whose guard ran checks in `folder`: without a failure where all of them passed.

    The exit status alone decides, and no word of the output, which only tells what the copy or the sandbox lacks. What
    the guard or a person ended is no fault of the code.
    """
    steps = result.steps if result else ()
    failed = _failure(folder, spec, result)
    log = spec.steps[max(0, len(steps) - 1)].log
    passed = passed_values(project, spec.steps[0].env)
    tail = without(passed, tail_of(Path(log)))
    reason = clean(without(passed, failed.reason)).replace("\n", " ")[:300] if failed else ""
    if failed and failed.failure is Failure.CHECKS and (found := remedy(tail, Place.of(spec, project))):
        reason = f"{reason}; {clean(found)[:300]}"
    return Run(
        run=spec.run,
        attempt=spec.attempt,
        started=steps[0].started if steps else (folder / SPEC).stat().st_mtime,
        seconds=sum(step.seconds for step in steps),
        training_seconds=0.0,
        failure=failed.failure if failed else None,
        reason=reason,
        log_tail=tail,
        log=log,
        sandboxed=spec.sandboxed,
        own_word=failed.own_word if failed else False,
    )


def _failure(folder: Path, spec: Spec, result: Result | None) -> Failed | None:
    failed = unfinished(folder, result)
    if result is None or failed:
        if failed and failed.failure is Failure.INVALID:
            return Failed(Failure.CHECKS, f"guard: the checks {failed.reason}")
        return failed
    last = result.steps[-1] if result.steps else None
    if last and not last.succeeded:
        step = spec.steps[len(result.steps) - 1]
        return witnessed(_failed_step(step, last), step)
    return interrupted(result.ended_by) if len(result.steps) < len(spec.steps) else None


def _failed_step(step: Step, result: StepResult) -> Failed:
    """Why a check did not pass."""
    text = step.name.partition(": ")[2]
    match result.ended_by:
        case EndedBy.STOP | EndedBy.AGENT:
            return interrupted(result.ended_by)
        case EndedBy.FULL:
            return Failed(Failure.INFRASTRUCTURE, NO_SPACE, own_word=True)
        case EndedBy.FILLED:
            return _broken(text, f"was ended: it wrote {result.written_mb:.0f} MB, which filled the disk", step)
        case EndedBy.DEADLINE:
            return _broken(text, f"still ran after {step.wall:.0f} s", step)
        case EndedBy():
            return _broken(text, f"was ended: it used more {result.ended_by} than it may", step)
    if result.error:
        return Failed(Failure.INFRASTRUCTURE, result.error)
    if result.signal == signal.SIGKILL and not result.memory_killed:
        return Failed(Failure.INFRASTRUCTURE, "killed (SIGKILL), nobody knows by whom", own_word=True)
    if result.signal:
        return _broken(text, f"failed ({signal.Signals(result.signal).name})", step)
    hint = "; {python} in a check stands for this Python" if result.exit == NOT_FOUND else ""
    return _broken(text, f"failed (exit {result.exit}{hint})", step)


def _broken(text: str, how: str, step: Step) -> Failed:
    last = [line.strip() for line in tail_of(Path(step.log)).split("\n") if line.strip()][-LINES:]
    said = f": {' | '.join(last)}" if last else ""
    return Failed(Failure.CHECKS, f"guard: {text} {how}{said}")
