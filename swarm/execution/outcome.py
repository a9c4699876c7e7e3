"""The outcome of a run: the files that a guard and its steps left, read into one Run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from swarm.execution.closed import Place, remedy
from swarm.execution.counter_check import Counted, find_miscount
from swarm.execution.diagnosis import Failed, diagnose, last_line
from swarm.execution.logs import clean, read_plain, tail_of
from swarm.execution.progress import Heartbeat, curve, read_heartbeats, trace
from swarm.execution.spec import (
    GUARD_ERRORS,
    HEARTBEAT,
    HIDDEN,
    REFEREE,
    RESULT,
    SECOND,
    SPEC,
    EndedBy,
    Result,
    Spec,
    Step,
    StepResult,
)
from swarm.execution.summary import Value, number_of, parse_summary
from swarm.project.project import Project
from swarm.records import Check, Failure, Metrics, Run

INVALID_EXIT = 3  # the referee's exit code for a candidate that cheats
SHORTEST = 8  # characters of a value that may be a key
MACHINE_EXIT = 4  # and for a machine on which it cannot measure

Stage = TypeVar("Stage", Step, StepResult)


def read_run(folder: Path, project: Project) -> Run:
    """The run whose guard worked in `folder`. Without a result file the guard itself was lost: infrastructure."""
    spec = Spec.read(folder)
    result = Result.read(folder)
    artifacts = Path(spec.run_folder)
    heartbeats = read_heartbeats(artifacts / HEARTBEAT)
    logs = [Path(step.log) for step in _judged(spec.steps)]
    steps = _judged(result.steps) if result else []
    passed = [spec.steps[0].env.get(name, "") for name in project.pass_env]
    tails = [_without(passed, tail_of(log)) for log in logs[: max(1, len(steps))]]
    started = steps[0].started if steps else (folder / SPEC).stat().st_mtime
    outcome = _failure(folder, spec, result, heartbeats, tails)
    if outcome is None and steps:
        printed = parse_summary(_without(passed, _text(logs[0])), project.metric)
        outcome = (
            _stalled(printed)
            or over_time(spec, steps[0])
            or _miscounted(spec, heartbeats, printed)
            or _measured(artifacts, project, printed, referee=len(logs) > 1)
        )
        broken = next((step.log_broken for step in steps if step.log_broken), None)
        if broken and isinstance(outcome, Failed):  # the missing part of the log may have held the number
            outcome = Failed(Failure.INFRASTRUCTURE, f"its log could not be written: {broken}")
    if isinstance(outcome, Metrics):
        outcome = replace(outcome, hidden=_hidden(artifacts, project, result))
    failed = outcome if isinstance(outcome, Failed) else None
    return Run(
        run=spec.run,
        attempt=spec.attempt,
        started=started,
        seconds=sum(step.seconds for step in result.steps) if result else 0.0,
        training_seconds=steps[0].seconds if steps else 0.0,
        metrics=outcome if isinstance(outcome, Metrics) else None,
        failure=failed.failure if failed else None,
        reason=_reason(failed, tails[-1], spec, project) if failed else "",
        log_tail="\n".join(filter(None, tails)),
        log=str(logs[0]),
        trace=trace(heartbeats),
        curve=curve(heartbeats),
        sandboxed=spec.sandboxed,
        check=failed.check if failed else None,
    )


def _reason(failed: Failed, tail: str, spec: Spec, project: Project) -> str:
    """Why the run failed, for people; with the remedy where the copy or the sandbox was the cause."""
    reason = clean(failed.reason).replace("\n", " ")[:300]
    if failed.failure not in (Failure.CODE, Failure.TIMEOUT, Failure.STALL):
        return reason
    found = remedy(f"{tail}\n{failed.reason}", Place.of(spec, project))
    return f"{reason}; {clean(found)[:300]}" if found else reason


def _judged(steps: Iterable[Stage]) -> list[Stage]:
    """The steps that a run is judged by: all but that of the hidden split, which never counts for anything."""
    return [step for step in steps if step.name != SECOND]


def _failure(
    folder: Path, spec: Spec, result: Result | None, heartbeats: tuple[Heartbeat, ...], tails: list[str]
) -> Failed | None:
    """Why the steps did not all succeed; None where they did. What the guard knows comes before what a log says."""
    if result is None and (folder / RESULT).exists():
        return Failed(Failure.INFRASTRUCTURE, "the run's result file is damaged")
    if result is None:
        error = tail_of(folder / GUARD_ERRORS, lines=1)
        return Failed(Failure.INFRASTRUCTURE, f"the run's guard died before it wrote a result{error and ': '}{error}")
    if result.error:
        return Failed(Failure.INFRASTRUCTURE, result.error)
    if result.changed:
        return Failed(Failure.INVALID, f"changed fixed files: {', '.join(sorted(result.changed))}")
    if result.survivors:
        return Failed(Failure.INFRASTRUCTURE, f"processes {result.survivors} could not be ended, even by SIGKILL")
    done = _judged(result.steps)
    last = done[-1] if done else None
    if last and not last.succeeded:
        return _step_failure(last, spec, heartbeats, tails[-1])
    if len(done) < len(_judged(spec.steps)):
        return _interrupted(result.ended_by)
    return None


def _stalled(printed: Mapping[str, Value]) -> Failed | None:
    """A training whose machine stood still: its own clock leaves that time out, and the one outside cannot."""
    if printed.get("stalled") != "true":
        return None
    return Failed(Failure.STALL, "the machine stalled for too much of the budget")


def over_time(spec: Spec, trainer: StepResult) -> Failed | None:
    """A training that took more time than its budget by the clock outside, or too long before it was counted."""
    if spec.budget is None:
        return None
    start, trained = clocked(spec, trainer)
    unit = "seconds" if spec.steps[0].cpu is None else "CPU-seconds"
    if trained > 1.05 * spec.budget + spec.slack:
        return _by_clock(f"it trained for {trained:.1f} {unit} with a budget of {spec.budget:g}")
    if start > spec.start:
        return _by_clock(f"{start:.1f} {unit} until its first heartbeat, where {spec.start:.1f} are allowed")
    return None


def _by_clock(what: str) -> Failed:
    return Failed(Failure.INVALID, f"clock: {what}", Check.CLOCK)


def _miscounted(spec: Spec, heartbeats: tuple[Heartbeat, ...], printed: Mapping[str, Value]) -> Failed | None:
    """A training whose counts contradict each other; what a foreign program counts is not known."""
    miscount = find_miscount(heartbeats, printed) if spec.budget is not None else None
    if miscount is None:
        return None
    return Failed(Failure.INVALID, str(miscount), Check.CLOCK if miscount.counted is Counted.CLOCK else None)


def clocked(spec: Spec, trainer: StepResult) -> tuple[float, float]:
    """Seconds until the first heartbeat and from then on, as the budget is counted, measured from outside."""
    wall = spec.steps[0].cpu is None
    total, start = (trainer.seconds, trainer.start) if wall else (trainer.cpu_seconds, trainer.start_cpu)
    start = total if start is None else start
    return start, total - start


def _interrupted(ended_by: EndedBy | None) -> Failed:
    return Failed(Failure.INTERRUPTED, "its agent was gone" if ended_by is EndedBy.AGENT else "it was stopped")


def _step_failure(step: StepResult, spec: Spec, heartbeats: tuple[Heartbeat, ...], tail: str) -> Failed:
    """Why a step failed: the guard ended it, the referee refused the run, or it ended by itself."""
    limits = spec.steps[0 if step.name == spec.steps[0].name else -1]
    whose = "" if limits is spec.steps[0] else f"the {step.name}: "
    match step.ended_by:
        case EndedBy.STOP | EndedBy.AGENT:
            return _interrupted(step.ended_by)
        case EndedBy.DEADLINE:
            return Failed(Failure.TIMEOUT, f"{whose}it still ran after {limits.wall:.0f} s")
        case EndedBy.CPU:
            return Failed(Failure.TIMEOUT, f"{whose}it used more than {limits.cpu:.0f} CPU-seconds")
        case EndedBy.MEMORY:
            return Failed(Failure.OOM, f"{whose}it took more than {limits.memory or 0:.0f} MB of memory")
        case EndedBy.PROCESSES:
            return Failed(Failure.CODE, f"{whose}it ran more than {limits.processes} processes")
        case EndedBy.DISK:
            return Failed(Failure.CODE, f"{whose}it wrote more than {limits.disk or 0:.0f} MB")
        case EndedBy.FULL:
            return Failed(Failure.INFRASTRUCTURE, "the disk is full")
        case EndedBy.STALL:
            return Failed(Failure.STALL, f"{whose}no heartbeat for {limits.silence:.0f} s")
    if step.exit == INVALID_EXIT and whose:
        refusal = _json(Path(spec.run_folder, REFEREE)).get("invalid")
        return Failed(Failure.INVALID, str(refusal or last_line(tail) or "the referee refused it"))
    if step.exit == MACHINE_EXIT and whose:
        return Failed(Failure.INFRASTRUCTURE, whose + (last_line(tail) or "this machine cannot measure"))
    failed = diagnose(step, heartbeats, tail)
    return replace(failed, reason=whose + failed.reason)


def _measured(artifacts: Path, project: Project, printed: Mapping[str, Value], referee: bool) -> Metrics | Failed:
    """The run's number: what the referee wrote, or without one what the training printed."""
    measured = _json(artifacts / REFEREE) if referee else printed
    if measured.get("invalid"):
        return Failed(Failure.INVALID, str(measured["invalid"]))
    value = measured.get(project.metric)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if referee:
            return Failed(Failure.CODE, f"the referee wrote no number for {project.metric}")
        return Failed(Failure.CODE, _no_metric(project.metric, printed))
    if not math.isfinite(value):
        return Failed(Failure.NAN, f"{project.metric} is {value}")
    return Metrics(
        value=float(value),
        audited=referee,
        peak_vram_mb=_finite(number_of(printed.get("peak_vram_mb"))),
        training_seconds=_finite(number_of(printed.get("training_seconds"))),
        values={key: _plain(item) for key, item in {**printed, **measured}.items()},
    )


def _hidden(artifacts: Path, project: Project, result: Result | None) -> float | None:
    """The metric on the hidden split, where its own step has succeeded: anybody could have written that file."""
    measured = any(step.name == SECOND and step.succeeded for step in (result.steps if result else ()))
    return _finite(_json(artifacts / HIDDEN).get(project.metric)) if measured else None


def _no_metric(metric: str, printed: Mapping[str, Value]) -> str:
    """What was looked for and what was printed instead: the metric's name is the first thing people mistype."""
    others = ", ".join(list(printed)[:8])
    there = f"what is printed there: {others}" if others else "nothing of the kind is printed"
    return (
        f"training ended and printed no number for {metric}: neither `{metric}: NUMBER` (after a `---` line or alone),"
        f" nor `{metric}=NUMBER`, nor `METRIC {metric}=NUMBER` is in its log; {there}"
    )


def _finite(value: Value) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _plain(value: Value) -> Value:
    """As a record may hold it: no nan, no nested JSON."""
    return value if isinstance(value, (int, str)) else _finite(value)


def _without(passed: Iterable[str], text: str) -> str:
    """The text without the values of variables that runs get by name: what a run prints is shown to everybody."""
    for value in sorted(filter(lambda value: len(value) >= SHORTEST, passed), key=len, reverse=True):
        text = text.replace(value, "[passed variable]")
    return text


def _text(log: Path) -> str:
    """The part of a log where the summary block is."""
    return read_plain(log, 256 * 1024, from_end=True).decode(errors="replace")


def _json(path: Path) -> Mapping[str, Value]:
    try:
        content = json.loads(read_plain(path, 2**20))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
