"""The progress of a running training process, read from its heartbeats or else from the end of its log."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm import foreign
from swarm.execution.reading.logs import BEATS, clean, read_plain
from swarm.records import Progress

TRACE_LENGTH = 64
CURVE_LENGTH = 10
_LONGEST = 64 * 1024  # bytes of a line that may be a heartbeat
_MOST = 2**17  # lines that are read: ten a second for three hours; of more, every second, fourth, ... one
_TIME = 1e9  # seconds: no training lasts for 30 years
_STEP = re.compile(r"\bstep[\s:=#]*(\d+)", re.IGNORECASE)
_LOSS = re.compile(r"\bloss[\s:=]*(nan|inf|\d+(?:\.\d+)?(?:e[+-]?\d+)?)", re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s?%")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One line of heartbeat.jsonl. `seconds` are counted training seconds. Where a fixed harness writes the line:
    `untimed` batches and tokens were read before the clock started, `elapsed` is real time, by a clock that the
    training cannot set, `ignorant` is the loss of an untrained model, and `laps` are the steps its clock counted."""

    step: int | None = None
    loss: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    untimed: int | None = None
    untimed_tokens: int | None = None
    elapsed: float | None = None
    ignorant: float | None = None
    laps: int | None = None


def read_heartbeats(path: Path) -> tuple[Heartbeat, ...]:
    """All heartbeats in the file, oldest first."""
    return tuple(_beats(read_plain(path, BEATS)))


def trace(heartbeats: tuple[Heartbeat, ...]) -> tuple[float, ...]:
    """At most 64 evenly spaced finite losses.

    The spacing is a power of two, so that two runs of the same code, of which one managed a few steps more, are
    sampled at the same steps and can be compared.
    """
    losses = [beat.loss for beat in heartbeats if beat.loss is not None]
    stride = 1
    while len(losses) > TRACE_LENGTH * stride:
        stride *= 2
    return tuple(loss for loss in losses[::stride] if math.isfinite(loss))


def curve(heartbeats: tuple[Heartbeat, ...], points: int = CURVE_LENGTH) -> tuple[tuple[float, float], ...]:
    """(counted seconds, mean loss since the point before) at evenly spaced moments of the training."""
    known = [
        (seconds, loss)
        for seconds, loss in ((beat.seconds, beat.loss) for beat in heartbeats)
        if seconds is not None and loss is not None and math.isfinite(seconds) and math.isfinite(loss)
    ]
    end = max((seconds for seconds, _ in known), default=0.0)
    parts: dict[int, list[float]] = {}
    for seconds, loss in known:
        parts.setdefault(max(0, math.ceil(points * seconds / end) - 1) if end > 0 else 0, []).append(loss)
    means = ((end * (part + 1) / points, sum(losses) / len(losses)) for part, losses in sorted(parts.items()))
    return tuple((seconds, mean) for seconds, mean in means if math.isfinite(mean))


def last_loss(heartbeats: tuple[Heartbeat, ...], log: str) -> float | None:
    """The newest loss there is, nan and inf included."""
    if heartbeats and heartbeats[-1].loss is not None:
        return heartbeats[-1].loss
    printed = _LOSS.findall(log)
    return foreign.number(float(printed[-1])) if printed else None


def read_progress(heartbeat: Path, log: Path, budget: float, phase: str, elapsed: float) -> Progress:
    """The newest heartbeat, or else a guess from the log's last line; where there is neither, the time alone."""
    recent = list(_beats(read_plain(heartbeat, 4096, from_end=True)))
    newest = recent[-1] if recent else _guess(log, budget)
    if newest is None:
        return Progress(phase=phase, elapsed=elapsed)
    phase = "training" if phase == "starting" else phase
    return Progress(phase, newest.step, newest.loss, newest.tokens, newest.seconds or 0.0, elapsed)


def _beats(data: bytes) -> Iterator[Heartbeat]:
    for line in _lines(data):
        try:
            beat = foreign.parse(line)
        except foreign.Unreadable:  # the last line may be half-written, and the first one cut
            continue
        if isinstance(beat, dict):
            step, tokens, untimed, untimed_tokens, laps = (
                foreign.count(beat.get(name)) for name in ("step", "tokens", "untimed", "untimed_tokens", "laps")
            )
            seconds, elapsed = (foreign.finite(beat.get(name), 0, _TIME) for name in ("seconds", "elapsed"))
            loss, ignorant = foreign.number(beat.get("loss")), foreign.finite(beat.get("ignorant"))
            yield Heartbeat(step, loss, tokens, seconds, untimed, untimed_tokens, elapsed, ignorant, laps)


def _lines(data: bytes) -> list[bytes]:
    """The lines that may be heartbeats: the first and the newest among them, and of too many an even share."""
    lines = [line for line in data.split(b"\n") if 0 < len(line) <= _LONGEST]
    stride = 1
    while len(lines) > _MOST * stride:
        stride *= 2
    return lines if stride == 1 else [*lines[:-1:stride], lines[-1]]


def _guess(log: Path, budget: float) -> Heartbeat | None:
    line = clean(read_plain(log, 4096, from_end=True).decode(errors="replace")).rpartition("\n")[2]
    step, loss, percent = _STEP.search(line), _LOSS.search(line), _PERCENT.search(line)
    if not (step or loss or percent):
        return None
    return Heartbeat(
        step=foreign.count(float(step[1])) if step else None,
        loss=foreign.number(float(loss[1])) if loss else None,
        seconds=budget * min(1.0, float(percent[1]) / 100) if percent else None,
    )
