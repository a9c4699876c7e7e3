"""What a run spent before, while and after its clock ran, counted from outside, beside its parent's."""

from __future__ import annotations

from swarm.records import Run

_PHASES = ("seconds_before", "seconds_within", "seconds_after")


def clocked(run: Run | None) -> dict[str, float | str] | None:
    """The seconds of a run's phases and what they were counted by; None where nobody counted."""
    values = run.metrics.values if run and run.metrics else {}
    seconds = {name: value for name in _PHASES if isinstance(value := values.get(name), (int, float))}
    if len(seconds) < len(_PHASES):
        return None
    return {**{name: float(value) for name, value in seconds.items()}, "seconds_of": str(values.get("seconds_of"))}


def clocked_line(run: Run | None, parent: Run | None) -> str:
    """The same in a line for people; "" where nobody counted."""
    own, usual = clocked(run), clocked(parent)
    if own is None:
        return ""
    before, within, after = (own[name] for name in _PHASES)
    line = (
        f"seconds by the {own['seconds_of']}: {before:.1f} before its clock ran, {within:.1f} while, {after:.1f} after"
    )
    return line + (f"; its parent {', '.join(f'{usual[name]:.1f}' for name in _PHASES)}" if usual else "")
