"""An experiment's change as a patch for `git am` and `git apply`, with the evidence as its commit message."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import format_datetime

from swarm.snapshot.records import AblationStepView, AblationView, ExperimentView, Snapshot, TrunkView
from swarm.text import moment
from swarm.wording.ablation import minimal_sentence
from swarm.wording.formatting import Scale, clean, plural
from swarm.wording.headline import headline
from swarm.wording.standing import line_to

AUTHOR = "autoresearch swarm <swarm@autoresearch.invalid>"


def mail(
    snapshot: Snapshot, view: ExperimentView, diff: str, champion: bool, minimal: AblationView | None = None
) -> str:
    """The diff with a message: of the champion all steps that it consists of, else the one experiment. "" without one.

    Of the `minimal` patch it names the steps that are in it, and what those left out would bring.
    """
    if not diff:
        return ""
    scale = Scale.of(snapshot)
    at = moment(view.judged or snapshot.now)
    if minimal and minimal.minimal:
        titles = [step.title for step in minimal.steps if not step.dropped]
        message = _what_matters(snapshot, minimal, scale)
    elif champion:
        steps = line_to(snapshot, view.position)
        titles, message = [step.title for step in steps], _steps(snapshot, steps, scale)
    else:
        titles, message = [view.title], _alone(view, scale)
    head = [
        f"From {view.commit} Mon Sep 17 00:00:00 2001",  # the date that marks a mail made by git format-patch
        f"From: {AUTHOR}",
        f"Date: {format_datetime(at)}",
        f"Subject: [PATCH] {_subject(snapshot, titles)}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    return "\n".join([*head, "", *message, "---", "", diff.rstrip("\n"), "-- ", f"swarm {view.id}", ""])


def _subject(snapshot: Snapshot, titles: Sequence[str]) -> str:
    """The one change that the patch holds, or what all of them do together."""
    if len(titles) == 1:
        return clean(titles[0])
    verb = "Lower" if snapshot.direction == "lower" else "Raise"
    return f"{verb} {clean(snapshot.metric)} in {plural(len(titles), 'step')}"


def _steps(snapshot: Snapshot, steps: Sequence[TrunkView], scale: Scale) -> list[str]:
    """What the swarm found, then every step. No line of it can be taken for the end of the message."""
    lines = [f"Found by the swarm {clean(snapshot.tag)}. {headline(snapshot)}", ""]
    lines += [f"{clean(snapshot.metric)} by step, from a baseline of {scale.value(snapshot.baseline)}:", ""]
    return [*lines, *(f"* {_step(step, scale)}" for step in steps), ""]


def _what_matters(snapshot: Snapshot, minimal: AblationView, scale: Scale) -> list[str]:
    """The steps that are in the minimal patch, and those that are not."""
    stays, goes = ([step for step in minimal.steps if step.dropped is out] for out in (False, True))
    lines = [f"Found by the swarm {clean(snapshot.tag)}. {headline(snapshot)}", ""]
    lines += [minimal_sentence(minimal, scale), "", "What is in it, by gain in the final stack:", ""]
    lines += [f"* {_left(step, scale)}" for step in stays]
    return [
        *lines,
        "",
        "Left out, as next to nothing is expected to be lost without it:",
        "",
        *(f"* {_left(step, scale)}" for step in goes),
        "",
    ]


def _left(step: AblationStepView, scale: Scale) -> str:
    return f"{clean(step.title)}: {scale.interval(step.gain, step.low, step.high)} ({clean(step.experiment)})"


def _step(step: TrunkView, scale: Scale) -> str:
    change = scale.interval(step.gain, step.low, step.high) if step.low is not None else scale.change(step.gain)
    return f"{clean(step.title)}: {scale.value(step.value)} ({change} from the baseline, n={step.n}; {step.experiment})"


def _alone(view: ExperimentView, scale: Scale) -> list[str]:
    """One experiment on its parent."""
    lines = [f"Why: {clean(view.rationale)}", ""] if view.rationale else []
    verdict = f"{view.status or view.state}, {view.rung}: {clean(view.reason)}"
    return [*lines, f"Measured: {scale.metric} {scale.value(view.value)} (n={view.value_n}). {verdict}.", ""]
