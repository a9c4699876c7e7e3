"""The trial run of a launch, as a person sees it: its progress, what it showed, or why nothing is founded."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from swarm.launch.plan import Plan
    from swarm.launch.trial import Trial
    from swarm.launch.trial_run import Report
    from swarm.records import Progress

QUIET = 30.0  # seconds between two lines about one run, where no line can be overwritten


def tried(plan: Plan, chosen: bool, screen: Console | None = None) -> Plan:
    """The plan with its trial, which is made now where it has to be, and with the keep rule that follows unless a
    person has `chosen` one; `screen` shows it, to people.

    SwarmError where nothing can be founded on what it showed, after the end of the log of what crashed.
    """
    from swarm.launch.plan import no_trial

    asked = plan.config.trial == "always"
    if no_trial(plan) or (not asked and (plan.config.dry_run or plan.trial)):
        return plan
    return _made(plan, chosen, asked, screen)


def _made(plan: Plan, chosen: bool, asked: bool, screen: Console | None) -> Plan:
    from swarm.errors import UsageError
    from swarm.launch.plan import nothing_to_turn, with_policy
    from swarm.launch.trial import refusal
    from swarm.launch.trial_run import editable_files, make_trial
    from swarm.launch.trial_store import store
    from swarm.views.plan import describe_estimate, describe_trial

    editable = editable_files(plan)
    try:
        with progress_shown(plan, screen) as report:
            trial = make_trial(plan, editable, report, always=asked)
    except KeyboardInterrupt:
        print("swarm: the trial run was ended, and nothing was founded", file=sys.stderr)
        raise
    plan = with_policy(replace(plan, trial=trial), chosen)
    if screen and (trial.completed or trial.value is not None):
        screen.print("", describe_trial(plan), sep="\n")
    if problem := refusal(trial, plan.project):
        if not trial.completed:
            show_end(trial)
        raise problem
    store(plan, trial)
    if screen:
        screen.print(describe_estimate(plan))
    if plan.idle:  # whoever only looks has seen what the code gives, and may choose who thinks
        raise UsageError(nothing_to_turn(plan.project))
    return plan


@contextlib.contextmanager
def progress_shown(plan: Plan, screen: Console | None) -> Iterator[Report]:
    """What is told while the trial runs: a line that moves in a terminal; elsewhere one that stays for each run,
    and one more every half a minute."""
    from swarm.views.trial import progress_line

    if screen is None:
        yield lambda number, progress: None
        return
    first = progress_line(plan, 1, None)
    if not screen.is_terminal:
        print(first, flush=True)
        told, due = 1, time.monotonic() + QUIET

        def tell(number: int, progress: Progress) -> None:
            nonlocal told, due
            if number != told or time.monotonic() >= due:
                told, due = number, time.monotonic() + QUIET
                print(progress_line(plan, number, progress), flush=True)

        yield tell
        return
    with screen.status(first) as status:

        def show(number: int, progress: Progress) -> None:
            status.update(progress_line(plan, number, progress))

        yield show


def show_end(trial: Trial) -> None:
    """The end of the log of a run that gave no number, for whoever asks why."""
    from rich.console import Console

    from swarm.views.trial import log_tail

    if trial.run.failure:
        Console(stderr=True).print(log_tail(trial))
