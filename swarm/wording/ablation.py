"""What an ablation says, in words: which steps of the leader matter, and what the patch without the others loses."""

from __future__ import annotations

from swarm.snapshot.records import AblationStepView, AblationView
from swarm.wording.formatting import UNKNOWN, Scale, clean, plural, short_id

HEADINGS = ("step", "gain in the final stack", "runs", "verdict", "what")
ABOUT = (
    "Each step was left out of the final code, and run beside it. The gain is how much worse the rest measured, by"
    " these runs alone, with its 95% interval. What can go is decided by that, and by all that is known of the step"
    " from before."
)


def cells(step: AblationStepView, scale: Scale, tag: str) -> tuple[str, ...]:
    """One row of the table."""
    with_it = ", ".join(short_id(clean(name), tag) for name in step.together)
    what = clean(step.title) + (f" (together with {with_it})" if with_it else "")
    gain = scale.interval(step.gain, step.low, step.high) if step.runs and step.gain is not None else UNKNOWN
    return short_id(clean(step.experiment), tag), gain, str(step.runs or UNKNOWN), verdict(step), what


def verdict(step: AblationStepView) -> str:
    """`drop`, `keep`, why nobody knows, or that later steps took it back."""
    if step.dropped:
        return "drop"
    if step.undone:
        return "nothing of it is left"
    if not step.runs:
        return "keep: not measured" if step.gain is not None else "keep: does not run without it"
    return "keep" if step.gain is not None else "keep: does not run without it"


def ablation_sentence(found: AblationView, scale: Scale, tag: str) -> str:
    """What can go, what that loses, and how to have it."""
    dropped, whole = sum(step.dropped for step in found.steps), len(found.steps)
    if not dropped:
        unmeasured = sum(not step.runs for step in found.steps)
        beyond = f"; for {unmeasured} of them there were no runs left" if unmeasured else ""
        return f"None of the {plural(whole, 'step')} was found to be worth less than its lines{beyond}."
    if not found.verified:
        makes = f"`python -m swarm ablate --tag {clean(tag)}` makes them"
        return f"{_what_can_go(found, dropped)}, but no fresh runs say so yet: {makes}."
    gives = f"`python -m swarm show champion --tag {clean(tag)} --patch --minimal` gives the rest"
    return f"{minimal_sentence(found, scale)} {gives}."


def minimal_sentence(found: AblationView, scale: Scale) -> str:
    """What the verified minimal patch leaves out, and what that loses."""
    dropped = sum(step.dropped for step in found.steps)
    lost = scale.interval(None if found.loss is None else -found.loss, _less(found.high), _less(found.low))
    fresh = f"on {found.pairs} fresh seeds the rest measures {lost} beside all of it"
    return f"{_what_can_go(found, dropped)}: {fresh}."


def _what_can_go(found: AblationView, dropped: int) -> str:
    saved = found.lines - found.minimal_lines
    lines = f", and with {'it' if dropped == 1 else 'them'} {saved} of {plural(found.lines, 'changed line')}"
    if saved <= 0:
        lines = f", which saves no line: the patch changes {found.minimal_lines}, and {found.lines} with all steps"
    return f"{dropped} of {plural(len(found.steps), 'step')} can go{lines}"


def _less(value: float | None) -> float | None:
    return None if value is None else -value
