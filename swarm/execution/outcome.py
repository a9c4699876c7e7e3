"""The outcome of a run: the files that a guard and its steps left, read into one Run."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from swarm import foreign
from swarm.errors import is_of_the_machine
from swarm.execution.reading.log_pattern import last_match
from swarm.execution.reading.logs import clean, read_object, tail_of, whole_of, without_escapes
from swarm.execution.reading.passed import passed_values, run_without, without
from swarm.execution.reading.printed_value import read_value
from swarm.execution.reading.progress import Heartbeat, curve, trace
from swarm.execution.reading.result_file import read_result
from swarm.execution.reading.summary import NAMES, Printed, Value, likest, read_printed
from swarm.execution.sandbox.closed import remedy
from swarm.execution.sandbox.whereabouts import Place
from swarm.execution.spec import (
    MEASURES,
    SECOND,
    SPEC,
    Result,
    Spec,
    Step,
    StepResult,
)
from swarm.execution.validity.blame import stalled, witnessed
from swarm.execution.validity.checks import read_checks
from swarm.execution.validity.clock_check import kept_heartbeats, miscounted, over_time, recorded
from swarm.execution.validity.diagnosis import Failed, interrupted, unfinished
from swarm.execution.validity.measured_memory import measured_values, peak_mb
from swarm.execution.validity.overrun import hang, was_done
from swarm.execution.validity.reading_check import Reading, trained_while_read
from swarm.execution.validity.step_failure import step_failure
from swarm.project.project import Project
from swarm.records import Failure, Metrics, Run

_READ_TOO = ("peak_vram_mb", "training_seconds")  # what a record has a place of its own for

LONGEST_NAME = 200  # characters of the name of a value
STEPS = ("num_steps", "loaded_tokens", "loaded_batches")  # counts by which runs are compared, whatever else is printed

_END = 256 * 1024  # characters at the end of a log in which a run that hangs has its number

Stage = TypeVar("Stage", Step, StepResult)


def read_run(folder: Path, project: Project) -> Run:
    """The run whose guard worked in `folder`. Without a result file the guard itself was lost: infrastructure.

    Whatever the run left is read, or is a failure of its code: the same bytes would raise at the next try too.

    Raises:
        UnreadableSpec: the guard's spec cannot be read.
        OSError: this machine cannot read now (a failing disk, too many open files).
    """
    spec = Spec.read(folder)
    try:
        return _read(folder, spec, project)
    except Exception as error:
        if isinstance(error, OSError) and is_of_the_machine(error):
            raise
        what = f"what it left cannot be read: {type(error).__name__}: {clean(str(error)[:1000])}"
        log = str(spec.steps[0].log) if spec.steps else ""
        common = {"failure": Failure.CODE, "reason": _one_line(what), "log": log, "sandboxed": bool(spec.sandboxed)}
        return Run(str(spec.run), spec.attempt, time.time(), 0.0, 0.0, **common)


def _read(folder: Path, spec: Spec, project: Project) -> Run:
    result = Result.read(folder)
    if spec.checks:
        return read_checks(folder, spec, result, project)
    heartbeats = kept_heartbeats(spec)
    logs = [Path(step.log) for step in _judged(spec.steps)]
    steps = _judged(result.steps) if result else []
    passed = passed_values(project, spec.steps[0].env)
    tails = [without(passed, tail_of(log)) for log in logs[: max(1, len(steps))]]
    started = steps[0].started if steps else (folder / SPEC).stat().st_mtime
    outcome = _failure(folder, spec, result, heartbeats, tails)
    text = whole_of(logs[0]) if steps else ""
    text = without(passed, text)
    hung = isinstance(outcome, Failed) and _hung(spec, steps, text[-_END:], project)
    if steps and (outcome is None or hung):
        printed = _printed(text, spec, project)
        found = (
            stalled(spec, steps[0], printed.values)
            or over_time(spec, steps[0], heartbeats)
            or miscounted(spec, steps[0], heartbeats, printed.values)
            or _measured(spec, project, printed, referee=len(logs) > 1)
        )
        outcome = outcome if hung and isinstance(found, Failed) else found
        broken = next((step.log_broken for step in steps if step.log_broken), None)
        if broken and isinstance(outcome, Failed):  # the missing part of the log may have held the number
            unwritten = Failed(Failure.INFRASTRUCTURE, f"its log could not be written: {broken}", own_word=True)
            outcome = witnessed(unwritten, spec.steps[0])
    if isinstance(outcome, Metrics) and steps:
        outcome = _with_memory(outcome, spec, steps[0], project)
    if isinstance(outcome, Metrics):
        values = {**outcome.values, **recorded(spec, steps[0])}
        trained = trained_while_read(Reading.of(values), Reading.kept(spec.reading), spec.budget or 0.0, spec.device)
        outcome = trained or replace(outcome, hidden=_hidden(spec, project, result), values=values)
    failed = outcome if isinstance(outcome, Failed) else None
    run = Run(
        run=spec.run,
        attempt=spec.attempt,
        started=started,
        seconds=sum(step.seconds for step in result.steps) if result else 0.0,
        training_seconds=steps[0].seconds if steps else 0.0,
        metrics=outcome if isinstance(outcome, Metrics) else None,
        failure=failed.failure if failed else None,
        reason=_reason(failed, tails[-1], spec, project) if failed else _one_line(hang(steps[0])) if hung else "",
        log_tail="\n".join(filter(None, tails)),
        log=str(logs[0]),
        trace=trace(heartbeats),
        curve=curve(heartbeats),
        sandboxed=spec.sandboxed,
        check=failed.check if failed else None,
        own_word=failed.own_word if failed else False,
    )
    return run_without(passed, run)


def _reason(failed: Failed, tail: str, spec: Spec, project: Project) -> str:
    """Why the run failed, for people; with the remedy where the copy or the sandbox was the cause."""
    reason = _one_line(failed.reason)
    if failed.failure not in (Failure.CODE, Failure.TIMEOUT, Failure.STALL):
        return reason
    found = remedy(f"{tail}\n{failed.reason}", Place.of(spec, project))
    return f"{reason}; {clean(found)[:300]}" if found else reason


def _one_line(reason: str) -> str:
    return clean(reason).replace("\n", " ")[:300]


def _judged(steps: Iterable[Stage]) -> list[Stage]:
    """The steps that a run is judged by: all but that of the hidden split, which never counts for anything."""
    return [step for step in steps if step.name != SECOND]


def _failure(
    folder: Path, spec: Spec, result: Result | None, heartbeats: tuple[Heartbeat, ...], tails: list[str]
) -> Failed | None:
    """Why the steps did not all succeed; None where they did. What the guard knows comes before what a log says."""
    failed = unfinished(folder, result)
    if failed or result is None:
        return failed
    done = _judged(result.steps)
    last = done[-1] if done else None
    if last and not last.succeeded:
        return witnessed(step_failure(last, spec, heartbeats, tails[-1]), spec.steps[0])
    if len(done) < len(_judged(spec.steps)):
        return interrupted(result.ended_by)
    return None


def _hung(spec: Spec, steps: list[StepResult], log: str, project: Project) -> bool:
    """Whether a run without a referee had given its result when its time was up."""
    if not steps or len(_judged(spec.steps)) != 1:
        return False
    file = Path(spec.root, project.result) if project.result else None
    return was_done(spec.steps[0], steps[0], log, project.metric, file)


def _printed(text: str, spec: Spec, project: Project) -> Printed:
    """What the training printed and, where the project names a file or a pattern, what it left there."""
    printed = read_printed(text, [project.metric, *project.guards, *_READ_TOO])
    if project.pattern:
        value, fault = _matched(project.pattern, text)
        return Printed({**printed.values, project.metric: value}, {**printed.faults, project.metric: fault})
    if project.result:
        left = read_result(Path(spec.root), project.result, spec.result_before, [project.metric, *project.guards])
        faults = {name: fault for name, fault in printed.faults.items() if name not in left.values}
        if metric := left.faults.get(project.metric):
            faults[project.metric] = metric
        return Printed({**printed.values, project.metric: None, **left.values}, faults)
    return printed


def _matched(pattern: str, text: str) -> tuple[Value, str]:
    """What the pattern's group holds at its last match in the log, and why that is no number, or ""."""
    try:
        found = last_match(pattern, without_escapes(text))
    except (TimeoutError, OSError, subprocess.SubprocessError) as error:
        return None, f"the pattern {pattern!r} could not be matched: {error}"
    if found is None:
        return None, f"the pattern {pattern!r} matches nothing in the log"
    claim = read_value(found)
    return claim.value, claim.fault and f"the pattern {pattern!r} matched {found!r}: {claim.fault}"


def _measured(spec: Spec, project: Project, printed: Printed, referee: bool) -> Metrics | Failed:
    """The run's number: what the referee wrote, or without one what the training printed."""
    measured = read_object(spec.answer(MEASURES)) if referee else printed.values
    if measured.get("invalid"):
        return Failed(Failure.INVALID, foreign.text(measured["invalid"]) or "the referee refused it")
    value = foreign.number(measured.get(project.metric))
    if value is None:
        if referee:
            return Failed(Failure.CODE, f"the referee wrote no number for {project.metric}")
        return Failed(Failure.CODE, _no_metric(project.metric, printed))
    if not math.isfinite(value):
        return Failed(Failure.NAN, f"{project.metric} is {value}")
    if 0 < abs(value) < foreign.SMALLEST:
        return Failed(Failure.CODE, f"{project.metric} is {value}, too little to be told from 0: print its logarithm")
    return Metrics(
        value=value,
        audited=referee,
        peak_vram_mb=foreign.finite(printed.values.get("peak_vram_mb"), 0),
        training_seconds=foreign.finite(printed.values.get("training_seconds"), 0),
        values=_values(printed.values, measured, (project.metric, *project.guards, *STEPS)),
    )


def _with_memory(metrics: Metrics, spec: Spec, training: StepResult, project: Project) -> Metrics:
    """The metrics with the peaks of memory that were measured from outside, whatever the training printed."""
    seen, peak = measured_values(spec, training, project.guards), peak_mb(spec, training)
    return replace(
        metrics,
        peak_vram_mb=metrics.peak_vram_mb if peak is None else round(peak, 1),
        values={**metrics.values, **seen},
        measured=tuple(seen),
    )


def _values(printed: Mapping[str, object], measured: Mapping[str, object], wanted: Iterable[str]) -> dict[str, Value]:
    """The values as a record holds them: the wanted ones, and of the others as many as a program prints, of what a
    training printed and of what its referee wrote. Nothing that is printed takes the place of what the referee says."""
    found: dict[str, Value] = {}
    for values in (printed, measured):
        kept = {*[name for name in values if name not in wanted][-NAMES:], *wanted}
        found |= {name[:LONGEST_NAME]: foreign.plain(value) for name, value in values.items() if name in kept}
    return found


def _hidden(spec: Spec, project: Project, result: Result | None) -> float | None:
    """The metric on the hidden split, where its own step has succeeded."""
    measured = any(step.name == SECOND and step.succeeded for step in (result.steps if result else ()))
    return foreign.finite(read_object(spec.answer(SECOND)).get(project.metric)) if measured else None


def _no_metric(metric: str, printed: Printed) -> str:
    """Why there is no number, and what was meant perhaps: the metric's name is the first thing people mistype."""
    if fault := printed.faults.get(metric):
        return f"no number for {metric}: {fault}"
    numbers = {name: value for name, value in printed.values.items() if isinstance(value, (int, float))}
    near = likest(metric, numbers)
    if near:
        shown = ", ".join(f"{name} ({numbers[name]:g})" for name in near[:4])
        remedy = f'metric = "{near[0]}" in swarm.toml reads it'
        return f"training ended and printed no number for {metric}, but {shown}: {remedy}"
    there = f"it printed {', '.join(list(numbers)[:8])}" if numbers else "it printed no number with a name"
    return (
        f'training ended and printed no number for {metric}; {there}: print `{metric}: NUMBER`, or say metric = "NAME"'
    )
