"""What the findings of all agents say about one knob's values."""

from __future__ import annotations

import math

from swarm.records import Briefing, Finding, Status
from swarm.researchers.sweep.knobs import Value, show
from swarm.researchers.sweep.tuner import Observation

_LIMIT = 6.0  # in units of sigma; beyond it a gain only says "very good" or "very bad"
_AFTER_LOSS = 0.7  # how a knob's interest changes with each loss, ...
_AFTER_CRASH = 0.5
_AFTER_KEEP = 1.5  # ... and with each keep


def findings_on(name: str, briefing: Briefing) -> list[Finding]:
    """The comparable findings that turned the knob, oldest first."""
    return [f for f in reversed(briefing.findings) if f.comparable and name in f.knobs]


def observations(name: str, value: Value, briefing: Briefing) -> list[Observation]:
    """The knob's measured values with their worth over the value the swarm began with, in units of sigma.

    A finding's gain is over its own parent, so what was kept before it, turning the same knob, is added: all worths
    of one knob share one zero. The present `value` is the last observation.
    """
    unit = briefing.sigma or _typical_gain(briefing)
    reached, seen = 0.0, []
    for finding in findings_on(name, briefing):
        tried = finding.knobs[name]
        if isinstance(tried, str):
            continue
        gain = None if finding.gain is None else max(-_LIMIT, min(_LIMIT, finding.gain / unit))
        seen.append(Observation(tried, None if gain is None else reached + gain))
        if finding.status == Status.KEEP and gain is not None:
            reached += gain
    return seen if isinstance(value, str) else [*seen, Observation(value, reached)]


def interest(name: str, briefing: Briefing) -> float:
    """How a knob's own record changes the chance to be turned again: 1 where nothing is known."""
    factors: dict[str, float] = {Status.KEEP: _AFTER_KEEP, Status.DISCARD: _AFTER_LOSS, Status.CRASH: _AFTER_CRASH}
    return math.prod(factors.get(finding.status, 1.0) for finding in findings_on(name, briefing))


def record_of(name: str, briefing: Briefing) -> str:
    """What is known in a sentence, empty where nothing is."""
    known = [f for f in findings_on(name, briefing) if f.gain is not None]
    if not known:
        return ""
    best = max(known, key=lambda finding: finding.gain or 0.0)
    times = "once" if len(known) == 1 else f"{len(known)} times"
    return f"Tried {times} before; best {show(best.knobs[name])} with a gain of {best.gain:+.4f} (n={best.n})."


def _typical_gain(briefing: Briefing) -> float:
    sizes = sorted(abs(f.gain) for f in briefing.findings if f.gain)
    return sizes[len(sizes) // 2] if sizes else 1.0
