"""Whether a run trained outside its clock, as far as that shows beside runs of its parent's code.

Seconds before and after the clock were counted from outside (swarm/execution/validity/clock_check.py). What the
training says of its losses is a hint that a cheat can avoid; an honest run never looks like this.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from swarm.records import Run

MORE, SHARE = 3.0, 0.05  # times the parent's seconds, and share of the budget, that a start or an end may take
LOW = 0.6  # of the parent's mean loss in the first tenth of the training: no idea learns so much faster

BEFORE, AFTER, COMPILED, COUNTED_BY = "seconds_before", "seconds_after", "compiled", "seconds_of"
_WHERE = {BEFORE: "before its first heartbeat", AFTER: "after its last one"}


def find_head_start(run: Run, parents: Sequence[Run], budget: float) -> str:
    """What shows it, in a line for people; "" where nothing does, or nothing is known of the parent."""
    alike = [parent for parent in parents if _value(parent, COUNTED_BY) == _value(run, COUNTED_BY)]
    if not alike or _value(run, COUNTED_BY) is None:
        return ""
    compiles = bool(_value(run, COMPILED)) and not any(_value(parent, COMPILED) for parent in alike)
    for phase, where in _WHERE.items():
        own, usual = _value(run, phase), [_number(parent, phase) for parent in alike]
        known = [seconds for seconds in usual if seconds is not None]
        if (phase == BEFORE and compiles) or not known or not isinstance(own, (int, float)):
            continue
        if own > MORE * median(known) + SHARE * budget:
            return f"clock: it spent {own:.1f} seconds {where}, and its parent's code {median(known):.1f}"
    first, firsts = _first_loss(run), [loss for loss in map(_first_loss, alike) if loss is not None]
    if first is not None and firsts and first < LOW * median(firsts):
        return (
            f"clock: its loss was {first:.3g} when it began to count, and its parent's {median(firsts):.3g}:"
            " it had learned before"
        )
    return ""


def _value(run: Run, name: str) -> float | int | str | None:
    return run.metrics.values.get(name) if run.metrics else None


def _number(run: Run, name: str) -> float | None:
    value = _value(run, name)
    return float(value) if isinstance(value, (int, float)) else None


def _first_loss(run: Run) -> float | None:
    """The mean loss at the beginning, where the run told enough to have one."""
    return run.curve[0][1] if len(run.curve) > 1 else None
