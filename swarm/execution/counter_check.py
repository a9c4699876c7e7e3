"""What a training says it did, beside what the fixed loader counted.

The judge compares how far runs of the same code came, so a training must not choose that number. It is counted by the
loader and written by the harness, both fixed files, and is taken from there. Still they share a process with the edited
code: these checks stop what is claimed in passing, not code that reaches into the loader and stays consistent. What
bounds the compute of a run is the clock outside (`outcome.late`), and what bounds its number is the referee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swarm.execution.progress import Beat
from swarm.execution.summary import Value

UNTIMED = 16  # batches that may be handed out before the clock starts: compiling needs one or two
AHEAD = 3  # batches that a loader packs before they are asked for, where it feeds a GPU
REUSED = 8  # steps that may be made of one batch: some ideas look at the same text more than once
UNCOUNTED, MOMENT = 0.01, 1.0  # of the time, and seconds, that a clock may lag behind the one that nobody can set
LEARNED = 0.75  # of the loss of a model that knows nothing: whoever begins with less learned it before
BEGINNING = 4  # steps, as the loader counts: whoever first tells of a loss later may have learned since


def miscounted(heartbeats: Sequence[Beat], printed: Mapping[str, Value]) -> str:
    """The first thing that does not fit together, as `check: what`; "" where all does, or no fixed harness counts."""
    if not any(beat.untimed is not None for beat in heartbeats):
        return ""
    checks = (_in_the_end, _by_the_clock, _before_the_clock)
    return next((told for check in checks if (told := check(heartbeats, printed))), "")


def _before_the_clock(heartbeats: Sequence[Beat], printed: Mapping[str, Value]) -> str:
    first, tokens, batches = heartbeats[0], printed.get("loaded_tokens"), printed.get("loaded_batches")
    untimed = max(beat.untimed or 0 for beat in heartbeats)
    if untimed > UNTIMED:
        return f"warm-up: it took {untimed} batches before the clock started, where {UNTIMED} are allowed"
    if _learned(first, printed):
        return f"warm-up: its first loss was {first.loss:.3g}, where who knows nothing has {first.ignorant:.3g}"
    if first.untimed_tokens and isinstance(tokens, int) and isinstance(batches, int) and batches > untimed + 2 * AHEAD:
        usual = max(1.0, (tokens - first.untimed_tokens) / (batches - untimed - AHEAD))
        if first.untimed_tokens > (UNTIMED + 2 * AHEAD) * usual:
            return f"warm-up: it read {first.untimed_tokens} tokens before the clock started, {usual:.0f} a batch later"
    return ""


def _learned(first: Beat, printed: Mapping[str, Value]) -> bool:
    """Whether a training knew more than it can at its beginning."""
    tokens, steps = printed.get("loaded_tokens"), printed.get("num_steps")
    if first.loss is None or not first.ignorant or not isinstance(tokens, int) or not isinstance(steps, int):
        return False
    begun = (first.tokens or 0) - (first.untimed_tokens or 0) <= BEGINNING * tokens / max(steps, 1)
    return begun and first.loss < LEARNED * first.ignorant


def _by_the_clock(heartbeats: Sequence[Beat], printed: Mapping[str, Value]) -> str:
    last = heartbeats[-1]
    if last.elapsed is None or last.seconds is None or last.elapsed - last.seconds < MOMENT + UNCOUNTED * last.elapsed:
        return ""
    return f"clock: {last.elapsed:.1f} seconds after its start it had counted {last.seconds:.1f}"


def _in_the_end(heartbeats: Sequence[Beat], printed: Mapping[str, Value]) -> str:
    step, tokens = (max(getattr(beat, name) or 0 for beat in heartbeats) for name in ("step", "tokens"))
    steps, loaded, batches = (printed.get(name) for name in ("num_steps", "loaded_tokens", "loaded_batches"))
    if not isinstance(loaded, int) or not isinstance(batches, int) or not isinstance(steps, int):
        return "tokens: its summary is not the one that the fixed harness prints"
    if tokens > loaded:
        return f"tokens: the loader had handed out {tokens} tokens while it trained, and {loaded} in the end"
    if step > steps:
        return f"tokens: it counted {step} steps while it trained, and {steps} in the end"
    if steps > REUSED * batches:
        return f"tokens: it made {steps} steps of the {batches} batches that the fixed loader handed out"
    return ""
