"""What came of a run: the files that a guard and its steps left, read into one Run."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from swarm.execution.counter_check import miscounted
from swarm.execution.logs import clean, read_plain, tail_of
from swarm.execution.progress import Beat, beats, curve, last_loss, trace
from swarm.execution.spec import (
    GUARD_ERRORS,
    HEARTBEAT,
    HIDDEN,
    REFEREE,
    RESULT,
    SECOND,
    SPEC,
    Ended,
    Result,
    Spec,
    Step,
)
from swarm.execution.summary import Value, number_of, parse_summary
from swarm.project.project import Project
from swarm.records import Failure, Metrics, Run

DIVERGED_AT = 100.0  # a loss that is not below this is not training
INVALID_EXIT = 3  # the referee's word for a candidate that cheats
MACHINE_EXIT = 4  # and for a machine on which it cannot measure

Stage = TypeVar("Stage", Step, Ended)

_OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemoryError|MemoryError|CUBLAS_STATUS_ALLOC_FAILED|can(?:'t|not) allocate memory",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"ECC error|NVML|Driver/library version mismatch|driver version is insufficient|no CUDA-capable device"
    r"|CUDA-capable device\(s\) is/are busy|No CUDA GPUs are available|CUDA unknown error|GPU is lost"
    r"|fallen off the bus|CUDA driver (?:error|initialization failed)|system not yet initialized"
    r"|No space left on device|Disk quota exceeded|Stale file handle|Input/output error",
)
_FAIL = re.compile(r"^FAIL\b", re.MULTILINE)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b.*", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last):"


def read_run(folder: Path, project: Project) -> Run:
    """The run whose guard worked in `folder`. Without a result file the guard itself was lost: infrastructure."""
    spec = Spec.read(folder)
    result = Result.read(folder)
    artifacts = Path(spec.run_folder)
    heartbeats = beats(artifacts / HEARTBEAT)
    logs = [Path(step.log) for step in _judging(spec.steps)]
    steps = _judging(result.steps) if result else []
    tails = [tail_of(log) for log in logs[: max(1, len(steps))]]
    started = steps[0].started if steps else (folder / SPEC).stat().st_mtime
    verdict = _failure(folder, spec, result, heartbeats, tails)
    if verdict is None and steps:
        printed = parse_summary(_text(logs[0]), project.metric)
        verdict = (
            _stalled(printed)
            or late(spec, steps[0])
            or _false(spec, heartbeats, printed)
            or _measured(artifacts, project, printed, referee=len(logs) > 1)
        )
        cut = next((step.log_broken for step in steps if step.log_broken), None)
        if cut and not isinstance(verdict, Metrics):  # what is missing may have been said and not kept
            verdict = Failure.INFRASTRUCTURE, f"its log could not be written: {cut}"
    if isinstance(verdict, Metrics):
        verdict = replace(verdict, hidden=_hidden(artifacts, project, result))
    failed = None if isinstance(verdict, Metrics) else verdict
    return Run(
        run=spec.run,
        attempt=spec.attempt,
        started=started,
        seconds=sum(step.seconds for step in result.steps) if result else 0.0,
        training_seconds=steps[0].seconds if steps else 0.0,
        metrics=verdict if isinstance(verdict, Metrics) else None,
        failure=failed[0] if failed else None,
        reason=clean(failed[1]).replace("\n", " ")[:300] if failed else "",
        log_tail="\n".join(filter(None, tails)),
        log=str(logs[0]),
        trace=trace(heartbeats),
        curve=curve(heartbeats),
        sandboxed=spec.sandboxed,
    )


def _judging(steps: Iterable[Stage]) -> list[Stage]:
    """The steps that a run is judged by: all but the hidden split's, which never counts for anything."""
    return [step for step in steps if step.name != SECOND]


def _failure(
    folder: Path, spec: Spec, result: Result | None, heartbeats: tuple[Beat, ...], tails: list[str]
) -> tuple[Failure, str] | None:
    """Why the steps did not all succeed; None where they did. What we know comes before what a log says."""
    if result is None and (folder / RESULT).exists():
        return Failure.INFRASTRUCTURE, "the run's result file is damaged"
    if result is None:
        last_words = tail_of(folder / GUARD_ERRORS, lines=1)
        return Failure.INFRASTRUCTURE, f"the run's guard died before it wrote a result{last_words and ': '}{last_words}"
    if result.error:
        return Failure.INFRASTRUCTURE, result.error
    if result.changed:
        return Failure.INVALID, f"changed fixed files: {', '.join(sorted(result.changed))}"
    if result.survivors:
        return Failure.INFRASTRUCTURE, f"processes {result.survivors} could not be ended, even by SIGKILL"
    ended = _judging(result.steps)
    last = ended[-1] if ended else None
    if last and not last.succeeded:
        return _of_step(last, spec, heartbeats, tails[-1])
    if len(ended) < len(_judging(spec.steps)):
        return Failure.INTERRUPTED, _INTERRUPTED.get(result.ended_by or "", "it was stopped")
    return None


def _stalled(printed: Mapping[str, Value]) -> tuple[Failure, str] | None:
    """A training whose machine stood still: its clock leaves that out, and the one outside cannot."""
    told = printed.get("stalled") == "true"
    return (Failure.STALL, "the machine stalled for too much of the budget") if told else None


def late(spec: Spec, trainer: Ended) -> tuple[Failure, str] | None:
    """The clock outside: a training that took more time than its own clock counted, or began before it was counted."""
    if spec.budget is None:
        return None
    start, trained = clocked(spec, trainer)
    kind = "seconds" if spec.steps[0].cpu is None else "CPU-seconds"
    if trained > 1.05 * spec.budget + spec.slack:
        return Failure.INVALID, f"clock: it trained for {trained:.1f} {kind} with a budget of {spec.budget:g}"
    if start > spec.start:
        return (
            Failure.INVALID,
            f"clock: {start:.1f} {kind} until its first heartbeat, where {spec.start:.1f} are allowed",
        )
    return None


def _false(spec: Spec, heartbeats: tuple[Beat, ...], printed: Mapping[str, Value]) -> tuple[Failure, str] | None:
    """A training whose counts do not fit together; what a foreign program counts is not known."""
    told = "" if spec.budget is None else miscounted(heartbeats, printed)
    return (Failure.INVALID, told) if told else None


def clocked(spec: Spec, trainer: Ended) -> tuple[float, float]:
    """Seconds until the first heartbeat and from then on, as the budget is counted, measured from outside."""
    wall = spec.steps[0].cpu is None
    total, start = (trainer.seconds, trainer.start) if wall else (trainer.cpu_seconds, trainer.start_cpu)
    start = total if start is None else start
    return start, total - start


_INTERRUPTED = {"stop": "it was stopped", "agent": "its agent was gone"}


def _of_step(step: Ended, spec: Spec, heartbeats: tuple[Beat, ...], tail: str) -> tuple[Failure, str] | None:
    limits = spec.steps[0 if step.name == spec.steps[0].name else -1]
    whose = "" if limits is spec.steps[0] else f"the {step.name}: "
    match step.ended_by:
        case "stop" | "agent":
            return Failure.INTERRUPTED, _INTERRUPTED[step.ended_by]
        case "deadline":
            return Failure.TIMEOUT, f"{whose}it still ran after {limits.wall:.0f} s"
        case "cpu":
            return Failure.TIMEOUT, f"{whose}it used more than {limits.cpu:.0f} CPU-seconds"
        case "memory":
            return Failure.OOM, f"{whose}it took more than {limits.memory or 0:.0f} MB of memory"
        case "processes":
            return Failure.CODE, f"{whose}it ran more than {limits.processes} processes"
        case "disk":
            return Failure.CODE, f"{whose}it wrote more than {limits.disk or 0:.0f} MB"
        case "full":
            return Failure.INFRASTRUCTURE, "the disk is full"
        case "stall":
            return Failure.STALL, f"{whose}no heartbeat for {limits.silence:.0f} s"
    if step.exit == INVALID_EXIT and whose:
        told = _json(Path(spec.run_folder, REFEREE)).get("invalid")
        return Failure.INVALID, str(told or _last_line(tail) or "the referee refused it")
    if step.exit == MACHINE_EXIT and whose:
        return Failure.INFRASTRUCTURE, whose + (_last_line(tail) or "this machine cannot measure")
    failure, reason = _of_log(step, heartbeats, tail)
    return failure, whose + reason


def _of_log(step: Ended, heartbeats: tuple[Beat, ...], tail: str) -> tuple[Failure, str]:
    """A step that failed by itself: what its last words mean."""
    if step.error:
        return Failure.CODE, step.error
    exception = _exception(tail)
    last_words = exception or "\n".join(tail.split("\n")[-10:])  # a warning further up is not what ended it
    loss = last_loss(heartbeats, tail)
    if told := _OUT_OF_MEMORY.search(last_words):
        return Failure.OOM, _line_around(last_words, told)
    number = step.signal or (step.exit - 128 if step.exit and step.exit > 128 else None)  # as a sandbox tells it
    if number == signal.SIGKILL:
        if step.memory_killed:
            return Failure.OOM, f"killed by the kernel: out of memory at {step.max_rss_mb:.0f} MB"
        return Failure.INFRASTRUCTURE, "killed from outside (SIGKILL)"
    if told := _MACHINE.search(last_words):
        return Failure.INFRASTRUCTURE, _line_around(last_words, told)
    if step.log_broken:
        return Failure.INFRASTRUCTURE, f"its log could not be written: {step.log_broken}"
    if loss is not None and math.isnan(loss):
        return Failure.NAN, "the loss became nan"
    if exception:
        return Failure.CODE, exception
    if loss is not None and not loss < DIVERGED_AT:
        return Failure.DIVERGED, f"the loss rose to {loss:g}"
    if told := _FAIL.search(tail):
        return Failure.NAN, _line_around(tail, told)
    ending = signal.Signals(step.signal).name if step.signal else f"exit code {step.exit}"
    return Failure.CODE, f"{_last_line(tail) or 'no output'} ({ending})"


def _measured(
    artifacts: Path, project: Project, printed: Mapping[str, Value], referee: bool
) -> Metrics | tuple[Failure, str]:
    told = _json(artifacts / REFEREE) if referee else printed
    if told.get("invalid"):
        return Failure.INVALID, str(told["invalid"])
    value = told.get(project.metric)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if referee:
            return Failure.CODE, f"the referee wrote no number for {project.metric}"
        return Failure.CODE, _no_metric(project.metric, printed)
    if not math.isfinite(value):
        return Failure.NAN, f"{project.metric} is {value}"
    return Metrics(
        value=float(value),
        audited=referee,
        peak_vram_mb=_finite(number_of(printed.get("peak_vram_mb"))),
        training_seconds=_finite(number_of(printed.get("training_seconds"))),
        values={key: _plain(item) for key, item in {**printed, **told}.items()},
    )


def _hidden(artifacts: Path, project: Project, result: Result | None) -> float | None:
    """The number of the hidden split, where its own step has written it: a file of that name may be anybody's."""
    measured = any(step.name == SECOND and step.succeeded for step in (result.steps if result else ()))
    return _finite(_json(artifacts / HIDDEN).get(project.metric)) if measured else None


def _no_metric(metric: str, printed: Mapping[str, Value]) -> str:
    """What was looked for and what was there instead: the metric's name is the first thing people mistype."""
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


def _text(log: Path) -> str:
    """The part of a log where the summary block is."""
    return read_plain(log, 256 * 1024, from_end=True).decode(errors="replace")


def _json(path: Path) -> Mapping[str, Value]:
    try:
        told = json.loads(read_plain(path, 2**20))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _exception(tail: str) -> str | None:
    """The line that names the exception: the first that is not indented after the last traceback."""
    _, mark, after = tail.rpartition(_TRACEBACK)
    if mark:
        for line in after.split("\n")[1:]:
            if line and not line[0].isspace():
                return line
    named = _EXCEPTION.findall(tail)
    return named[-1] if named else None


def _last_line(tail: str) -> str:
    return tail.rstrip().rpartition("\n")[2].strip()


def _line_around(text: str, match: re.Match[str]) -> str:
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return text[start : end if end >= 0 else None].strip()
