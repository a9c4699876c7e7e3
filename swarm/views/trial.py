"""Shows the trial run of the untouched code: what was found in its output, how long it took, whether it repeats."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from swarm.judge.decide import POLICIES
from swarm.launch.plan import EXACT
from swarm.launch.trial import CHECKS, Repeatability
from swarm.wording.formatting import clean, clean_block, duration, plural, shorten

if TYPE_CHECKING:
    from swarm.execution.reading.summary import Value
    from swarm.launch.plan import Plan
    from swarm.launch.trial import GuardReading, Trial
    from swarm.records import Progress

_NAMES = 14  # shown of what a run printed
_TAIL = 15  # lines of the log of a run that failed


def trial_rows(plan: Plan, trial: Trial) -> dict[str, str]:
    """What the trial showed, by what each row is about."""
    rows = {
        "trial": f"the untouched code on {trial.agent}{_age(trial)}: {_phases(trial)}",
        "ended": trial.run.reason if trial.value is not None and not trial.completed else "",
        "metric": f"{plan.project.metric} {_number(trial.value)}{_why(plan, 'metric')},"
        f" {plan.project.direction} is better{_why(plan, 'direction')}",
        "found": _found(trial, plan.project.metric),
        "guards": "; ".join(map(_guard, trial.guards)),
        "checks": _checks(plan, trial),
        "again": _again(trial),
        "edits": "; ".join(
            f"{file.path}, {plural(file.lines, 'line')}, {plural(file.knobs, 'number') if file.knobs else 'no number'}"
            " for the sweep"
            for file in trial.editable
        ),
        "policy": _policy(plan, trial),
    }
    return {name: text for name, text in rows.items() if text}


def trial_json(trial: Trial) -> dict[str, object]:
    """The trial as values for programs."""
    values = {
        "metric": trial.value,
        "found": dict(trial.found),
        "seconds": {
            "whole": trial.phases.whole,
            "to_first_heartbeat": trial.phases.start,
            "training": trial.phases.training,
            "referee": trial.phases.referee,
        },
        "guards": trial.guards,
        "checks": trial.checks and not trial.checks.failure,
        "editable": trial.editable,
        "repeats": trial.repeats,
        "repeatability": trial.repeatability,
        "seed": trial.seed,
        "started": trial.run.started,
        "log": trial.run.log,
    }
    return json.loads(msgspec.json.encode(values))  # a nan as null


def _guard(guard: GuardReading) -> str:
    word = " as the run prints it, which nothing measures here" if guard.printed and not guard.breach else ""
    return f"{guard.name} {_number(guard.value)}{word} ({guard.bound}): {guard.breach or 'holds'}"


def log_tail(trial: Trial) -> RenderableType:
    """The end of the log of a run that failed."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim")
    table.add_column(style="dim", overflow="fold")
    for line in [line for line in clean_block(trial.run.log_tail).split("\n") if line.strip()][-_TAIL:]:
        table.add_row("  |", Text(line))
    return table


def progress_line(plan: Plan, number: int, progress: Progress | None) -> str:
    """What a trial is doing: the run itself is number 1, the later ones are its repeats."""
    agent = next(iter(plan.slots))
    runs = {CHECKS: "the project's checks", 1: f"trial run of the untouched code on {agent}"}
    what = runs.get(number, f"the same again, run {number}")
    if progress is None:
        return f"{what} ..."
    step = "" if progress.step is None else f", step {progress.step}"
    loss = "" if progress.loss is None else f", loss {_number(progress.loss)}"
    # Only a run that tells of its steps tells when its start is over.
    phase = progress.phase if plan.project.referee or progress.step is not None else "running"
    return f"{what}: {phase}{step}{loss}, {duration(progress.elapsed)}; Ctrl-C ends it, nothing is founded"


# -- one row each ---------------------------------------------------------------------------------------------------


def _age(trial: Trial) -> str:
    """When it was made, where that was not just now."""
    minutes = (time.time() - trial.run.started - trial.run.seconds) / 60
    ages = ((1, ""), (90, f", {minutes:.0f} minutes ago"), (2880, f", {minutes / 60:.0f} hours ago"))
    return next((text for most, text in ages if minutes < most), f", {minutes / 1440:.0f} days ago")


def _phases(trial: Trial) -> str:
    phases = trial.phases
    parts = [] if phases.start is None else [f"{_time(phases.start)} to its first heartbeat"]
    if parts or phases.referee is not None:
        parts.append(f"{_time(phases.training)} of training")
    if phases.referee is not None:
        parts.append(f"{_time(phases.referee)} of the referee")
    return _time(phases.whole) + (f" ({', '.join(parts)})" if parts else "")


def _why(plan: Plan, key: str) -> str:
    """Where a key was found that decides the whole swarm."""
    settings = next((name for name in ("swarm.toml", "pyproject.toml") if (plan.root / name).is_file()), "a default")
    return f" ({plan.project.origins.get(key, settings)})"


def _found(trial: Trial, metric: str) -> str:
    others = {name: value for name, value in trial.found.items() if name != metric}
    shown = [f"{clean(name)} {_value(value)}" for name, value in list(others.items())[:_NAMES]]
    more = f", and {len(others) - _NAMES} more" if len(others) > _NAMES else ""
    return f"{', '.join(shown)}{more}" if shown else "no other number with a name"


def _checks(plan: Plan, trial: Trial) -> str:
    if trial.checks is None:
        return ""
    told = trial.checks.reason.removeprefix("guard: ") or f"passed in {_time(trial.checks.seconds)}"
    return f"{'; '.join(plan.project.checks)}: {told}"


def _again(trial: Trial) -> str:
    values = [trial.value, *(repeat.value for repeat in trial.repeats)]
    number = _number(trial.value)
    failed = next((repeat for repeat in trial.repeats if repeat.value is None), None)
    if failed:
        return f"made again, it gave no number: {clean(failed.reason)}"
    match trial.repeatability:
        case Repeatability.UNKNOWN:
            return "it was not made again; the baselines measure its noise"
        case Repeatability.NOISY if trial.repeats[0].value == trial.value:
            others = ", ".join(trial.repeats[0].differs[:3])
            return f"{number} with the same seed too, but another {others}: the baselines measure its noise"
        case Repeatability.NOISY:
            return (
                f"{_number(values[1])} with the same seed: it does not repeat itself, the baselines measure its noise"
            )
        case Repeatability.SEEDED if len(values) > 2:
            return f"{number} with the same seed, {_number(values[-1])} with another"
        case Repeatability.SEEDED:
            return f"{number} with the same seed: it repeats itself; the baselines, of other seeds, measure the noise"
        case Repeatability.UNSURE:
            return f"{number} in {len(values)} runs: too few, or too few digits, to be sure that it has no noise"
    return f"{number} in {len(values)} runs, with other seeds too: it repeats itself"


def _policy(plan: Plan, trial: Trial) -> str:
    """What follows for judging, where equal runs give equal numbers."""
    if trial.repeatability is not Repeatability.EXACT or EXACT not in POLICIES:
        return ""
    if plan.config.policy == EXACT:
        return f"{EXACT}: one run decides, as equal code gives equal numbers and no seed reaches it"
    if plan.project.referee:
        return ""
    return f"{plan.config.policy}, as you chose; with --policy {EXACT} one run would decide, and no run be repeated"


# -- values ---------------------------------------------------------------------------------------------------------


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else duration(seconds)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}" if math.isfinite(value) else str(value)


def _value(value: Value) -> str:
    if value is None:
        return "n/a"
    return shorten(clean(value), 24) if isinstance(value, str) else _number(value)
