"""What a run was doing when its time was up, and whether it was done and only hung. Read from what it left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from swarm.execution.reading.progress import Heartbeat
from swarm.execution.spec import EndedBy, Step, StepResult
from swarm.execution.validity.diagnosis import last_line
from swarm.project.durations import write_duration

OUT_OF_TIME = (EndedBy.DEADLINE, EndedBy.CPU, EndedBy.STALL)
QUIET = 0.25  # share of its time at the end in which a run that is done must have done nothing any more
RECENT = 10.0  # seconds, or a twentieth of the run, within which a sign of life is one of the end

_EVALUATES = re.compile(r"\b(?:eval\w*|valid\w*|test(?:s|ing|ed)?|scor\w+|measur\w+|benchmark\w*)\b", re.IGNORECASE)
_BLOCK = re.compile(r"^(?:---+\s*$|\s*METRIC\s)", re.MULTILINE)  # what a summary begins with
_DIGIT = re.compile(r"\d")
_TRAINS = re.compile(r"\b(?:train\w*|epoch|step|iter\w*|loss)\b", re.IGNORECASE)


def doing(step: Step, result: StepResult, heartbeats: Sequence[Heartbeat], tail: str) -> str:
    """What the trainer seems to have been doing when it was ended: by its heartbeats, or else by its last line."""
    recent = max(RECENT, result.seconds / 20)
    beat = _silence(Path(step.heartbeat), result) if step.heartbeat and heartbeats else None
    if beat is not None:
        where = "" if heartbeats[-1].step is None else f" (step {heartbeats[-1].step})"
        if beat <= recent:
            return f"while training{where}"
        return f"{beat:.0f} s after its last heartbeat{where}: in its evaluation, saving, or hung"
    line = last_line(tail)
    if not line:
        return "and had printed nothing"
    phase = "while evaluating, " if _EVALUATES.search(line) else "while training, " if _TRAINS.search(line) else ""
    ago = _silence(Path(step.log), result)
    when = "" if ago is None else f" {ago:.0f} s before"
    return f"{phase}with this as its last line{when}: {line[:100]!r}"


def raise_timeout(seconds: float) -> str:
    """The remedy, for people, where so many seconds were not enough."""
    return f'if that is too early, raise it: timeout = "{write_duration(_round(2 * seconds))}" in swarm.toml'


def was_done(step: Step, result: StepResult, log: str, metric: str, file: Path | None = None) -> bool:
    """Whether a run that was ended had given its result and only hung, on a thread or a process that never ends.
    `file` is the one that the result is read from, where it is not the log.

    A program that prints its metric again and again might have gone on; so might one that was still at work. So the
    metric stands there once, nothing was printed for a good while after it, and the
    processes did nothing either, unless it is in a summary block, which is the last thing that a program prints.
    """
    if file is not None:
        return result.ended_by in OUT_OF_TIME and _was_written(file, step, result)
    silence = _silence(Path(step.log), result)
    if result.ended_by not in OUT_OF_TIME or silence is None:
        return False
    mentions = _mentions(metric, log)
    if len(mentions) > 1:
        return False
    block = any(_BLOCK.search(log[:place]) for place in mentions)
    enough = QUIET * result.seconds
    return silence >= enough and (block or result.idle >= enough)


def _was_written(file: Path, step: Step, result: StepResult) -> bool:
    """Whether the run left its result a good while before its end, and has printed or computed nothing since."""
    age, silence, enough = _silence(file, result), _silence(Path(step.log), result), QUIET * result.seconds
    if age is None or age > result.seconds or age < enough:
        return False
    return result.idle >= enough or (silence is not None and silence >= enough)


def _mentions(metric: str, log: str) -> list[int]:
    """Where the metric is named with a number after it, the first place in each line.

    One pattern for both would begin anew at every name in a line of many, and hold all of Python up for minutes.
    """
    name, found, begins = re.compile(rf"(?<![\w./-]){re.escape(metric)}(?!\w)", re.IGNORECASE), [], 0
    for line in log.split("\n"):
        mention = name.search(line)
        if mention and _DIGIT.search(line, mention.end()):
            found.append(begins + mention.start())
        begins += len(line) + 1
    return found


def hang(result: StepResult) -> str:
    """That a run hung after its result, for people."""
    return (
        f"it gave its result and then hung until it was ended after {result.seconds:.0f} s: its number counts, but"
        " each run takes that long; look for a thread, a data loader or a process that never ends, or lower `timeout`"
    )


def _silence(file: Path, result: StepResult) -> float | None:
    """How many seconds before the end of the run the file was written for the last time."""
    try:
        return max(0.0, result.started + result.seconds - file.stat().st_mtime)
    except OSError:
        return None


def _round(seconds: float) -> float:
    """A time that people would write: in minutes, or in tens of seconds where it is short."""
    unit = 60.0 if seconds > 120 else 10.0
    return unit * -(-seconds // unit)
