"""Why a step failed by itself: its exit code, its signal and the last lines of its log, read into a Failure."""

from __future__ import annotations

import math
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from swarm.execution.reading.logs import tail_of
from swarm.execution.reading.progress import Heartbeat, last_loss
from swarm.execution.spec import GUARD_ERRORS, RESULT, EndedBy, Result, StepResult
from swarm.records import Check, Failure

DIVERGED_AT = 100.0  # a loss that is not below this is not training

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


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a run gave no number; `reason` is for people, `check` is what found an invalid run. With `own_word` nobody
    but the run itself blames the machine (blame.py)."""

    failure: Failure
    reason: str
    check: Check | None = None
    own_word: bool = False


def unfinished(folder: Path, result: Result | None) -> Failed | None:
    """What the guard in `folder` itself says of its run, whatever its steps did; None where it says nothing."""
    if result is None and (folder / RESULT).exists():
        return Failed(Failure.INFRASTRUCTURE, "the run's result file is damaged", own_word=True)
    if result is None:
        error = tail_of(folder / GUARD_ERRORS, lines=1)
        died = f"the run's guard died before it wrote a result{error and ': '}{error}"
        return Failed(Failure.INFRASTRUCTURE, died, own_word=True)
    if result.error:
        return Failed(Failure.INFRASTRUCTURE, result.error)
    if result.changed:
        return Failed(Failure.INVALID, f"changed fixed files: {', '.join(sorted(result.changed))}")
    if result.survivors:
        return Failed(Failure.INFRASTRUCTURE, f"processes {result.survivors} could not be ended, even by SIGKILL")
    return None


def interrupted(ended_by: EndedBy | None) -> Failed:
    """A run that was called off, through no fault of its own."""
    return Failed(Failure.INTERRUPTED, "its agent was gone" if ended_by is EndedBy.AGENT else "it was stopped")


def diagnose(step: StepResult, heartbeats: tuple[Heartbeat, ...], tail: str) -> Failed:
    """Why the step failed; `tail` is the end of its log."""
    if step.error:
        return Failed(Failure.CODE, step.error)
    exception = _exception(tail)
    last_lines = exception or "\n".join(tail.split("\n")[-10:])  # a warning further up is not what ended it
    loss = last_loss(heartbeats, tail)
    if match := _OUT_OF_MEMORY.search(last_lines):
        return Failed(Failure.OOM, _line_around(last_lines, match))
    number = step.signal or (step.exit - 128 if step.exit and step.exit > 128 else None)  # as a sandbox reports it
    if number == signal.SIGKILL:
        if step.memory_killed:
            return Failed(Failure.OOM, f"killed by the kernel: out of memory at {step.max_rss_mb:.0f} MB")
        return Failed(Failure.INFRASTRUCTURE, "killed (SIGKILL), nobody knows by whom", own_word=True)
    if step.log_broken:
        return Failed(Failure.INFRASTRUCTURE, f"its log could not be written: {step.log_broken}", own_word=True)
    if match := _MACHINE.search(last_lines):
        return Failed(Failure.INFRASTRUCTURE, _line_around(last_lines, match), own_word=True)
    if loss is not None and math.isnan(loss):
        return Failed(Failure.NAN, "the loss became nan")
    if exception:
        return Failed(Failure.CODE, exception)
    if loss is not None and not loss < DIVERGED_AT:
        return Failed(Failure.DIVERGED, f"the loss rose to {loss:g}")
    if match := _FAIL.search(tail):
        return Failed(Failure.NAN, _line_around(tail, match))
    ending = signal.Signals(step.signal).name if step.signal else f"exit code {step.exit}"
    return Failed(Failure.CODE, f"{last_line(tail) or 'no output'} ({ending})")


def last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2].strip()


def _exception(tail: str) -> str | None:
    """The line that names the exception: the first that is not indented after the last traceback."""
    _, mark, after = tail.rpartition(_TRACEBACK)
    if mark:
        for line in after.split("\n")[1:]:
            if line and not line[0].isspace():
                return line
    named = _EXCEPTION.findall(tail)
    return named[-1] if named else None


def _line_around(text: str, match: re.Match[str]) -> str:
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return text[start : end if end >= 0 else None].strip()
