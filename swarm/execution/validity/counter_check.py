"""Compares what a training reports (steps, tokens, seconds) with what the fixed data loader counted.

The judge compares how far runs of the same code came, so a training must not choose that number. It is counted by the
loader and written by the harness, both fixed files. Still they share a process with the edited code: these checks find
false reports, not code that reaches into the loader and stays consistent. The compute of a run is bounded by the clock
outside (`clock_check.over_time`), and its metric is measured by the referee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from swarm.execution.reading.progress import Heartbeat
from swarm.execution.reading.summary import Value

UNTIMED = 16  # batches that may be handed out before the clock starts: compiling needs one or two
AHEAD = 3  # batches that a loader packs before they are asked for, where it feeds a GPU
REUSED = 8  # steps that may be made of one batch: some ideas look at the same text more than once
UNCOUNTED, MOMENT = 0.01, 1.0  # share of the time, and seconds, that the training's clock may lag behind real time
LEARNED = 0.75  # of an untrained model's loss: a training that begins below it has learned before the clock started
BEGINNING = 4  # steps, as the loader counts: a first loss that is reported later may be lower


class Counted(StrEnum):
    """What is counted wrong."""

    TOKENS = "tokens"
    CLOCK = "clock"
    WARM_UP = "warm-up"


@dataclass(frozen=True, slots=True)
class Miscount:
    """A contradiction between what a training reports and what was counted."""

    counted: Counted
    what: str

    def __str__(self) -> str:
        return f"{self.counted}: {self.what}"


def are_counted(heartbeats: Sequence[Heartbeat]) -> bool:
    """Whether a fixed harness wrote any of them."""
    return any(beat.untimed is not None for beat in heartbeats)


def find_miscount(heartbeats: Sequence[Heartbeat], printed: Mapping[str, Value]) -> Miscount | None:
    """The first contradiction; None where there is none, or where no fixed harness counts."""
    if not are_counted(heartbeats):
        return None
    checks = {Counted.TOKENS: _check_totals, Counted.CLOCK: _check_clock, Counted.WARM_UP: _check_warm_up}
    found = (Miscount(counted, what) for counted, check in checks.items() if (what := check(heartbeats, printed)))
    return next(found, None)


def _check_warm_up(heartbeats: Sequence[Heartbeat], printed: Mapping[str, Value]) -> str:
    first, tokens, batches = heartbeats[0], printed.get("loaded_tokens"), printed.get("loaded_batches")
    untimed = max(beat.untimed or 0 for beat in heartbeats)
    if untimed > UNTIMED:
        return f"it took {untimed} batches before the clock started, where {UNTIMED} are allowed"
    if _learned(first, printed):
        return f"its first loss was {first.loss:.3g}, where who knows nothing has {first.ignorant:.3g}"
    if first.untimed_tokens and isinstance(tokens, int) and isinstance(batches, int) and batches > untimed + 2 * AHEAD:
        usual = max(1.0, (tokens - first.untimed_tokens) / (batches - untimed - AHEAD))
        if first.untimed_tokens > (UNTIMED + 2 * AHEAD) * usual:
            return f"it read {first.untimed_tokens} tokens before the clock started, {usual:.0f} a batch later"
    return ""


def _learned(first: Heartbeat, printed: Mapping[str, Value]) -> bool:
    """Whether the first loss is too low for an untrained model."""
    tokens, steps = printed.get("loaded_tokens"), printed.get("num_steps")
    if first.loss is None or not first.ignorant or not isinstance(tokens, int) or not isinstance(steps, int):
        return False
    begun = (first.tokens or 0) - (first.untimed_tokens or 0) <= BEGINNING * tokens / max(steps, 1)
    return begun and first.loss < LEARNED * first.ignorant


def _check_clock(heartbeats: Sequence[Heartbeat], printed: Mapping[str, Value]) -> str:
    last = heartbeats[-1]
    if last.elapsed is None or last.seconds is None or last.elapsed - last.seconds < MOMENT + UNCOUNTED * last.elapsed:
        return ""
    return f"{last.elapsed:.1f} seconds after its start it had counted {last.seconds:.1f}"


def _check_totals(heartbeats: Sequence[Heartbeat], printed: Mapping[str, Value]) -> str:
    step, tokens = (max(getattr(beat, name) or 0 for beat in heartbeats) for name in ("step", "tokens"))
    steps, loaded, batches = (printed.get(name) for name in ("num_steps", "loaded_tokens", "loaded_batches"))
    if not isinstance(loaded, int) or not isinstance(batches, int) or not isinstance(steps, int):
        return "its summary is not the one that the fixed harness prints"
    if tokens > loaded:
        return f"the loader had handed out {tokens} tokens while it trained, and {loaded} in the end"
    if step > steps:
        return f"it counted {step} steps while it trained, and {steps} in the end"
    if steps > REUSED * batches:
        return f"it made {steps} steps of the {batches} batches that the fixed loader handed out"
    return ""
