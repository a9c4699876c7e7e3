"""The trial run of the untouched code before a swarm is founded: what it showed, and why it may forbid a launch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from swarm.errors import SwarmError, UsageError
from swarm.execution.reading.summary import Value, likest
from swarm.execution.slot import Slot
from swarm.judge.guards import breach, memory_name
from swarm.project.project import Project
from swarm.records import Failure, Metrics, Run

CERTAIN = 6  # digits of the metric that must have agreed, over all repeats, before that is believed
CHECKS = 0  # the number of the project's checks among the runs of a trial
_NEAR, _NAMED = 3, 8  # names in a message
_OF_THE_MACHINE = {  # words in the names of numbers that differ from run to run whatever the code does
    *("seconds", "second", "secs", "sec", "s", "ms", "us", "ns", "minutes", "time", "times", "elapsed", "duration"),
    *("runtime", "wall", "clock", "latency", "date", "timestamp", "eta", "pid", "memory", "mem", "mb", "gb", "rss"),
    *("vram", "throughput", "speed", "fps", "qps", "mfu", "percent", "utilization", "load", "cpu", "gpu"),
}


class Repeatability(StrEnum):
    """What repeats of the untouched code showed."""

    UNKNOWN = "unknown"  # it ran once
    NOISY = "noisy"  # an equal run gave another number
    SEEDED = "seeded"  # equal seeds give equal numbers, and others may give others
    UNSURE = "unsure"  # all numbers were equal, and have too few digits for that to mean much
    EXACT = "exact"  # all numbers were equal, whatever the seed


@dataclass(frozen=True, slots=True)
class Phases:
    """The seconds of a run. `start` is until its first heartbeat; without heartbeats all of it is `training`."""

    whole: float
    start: float | None
    training: float
    referee: float | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """The untouched code once more. `differs` names what else came out differently; `reason` is why it has no value."""

    seed: int
    value: float | None
    differs: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GuardReading:
    """A guard beside the number that the untouched code gave for it; `breach` is what is wrong, if something is."""

    name: str
    bound: str
    value: float | None
    breach: str
    printed: bool = False  # a peak of memory that nothing measured here: the run's word alone


@dataclass(frozen=True, slots=True)
class EditableFile:
    """What a researcher has in an editable file: its lines, and the numbers that the sweep may turn."""

    path: str
    lines: int
    knobs: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What the trial run showed. `of` identifies what was run (trial_store.py), `seed` and `slot` say how and where."""

    of: str
    agent: str
    slot: Slot
    seed: int
    seeded: bool  # the code takes the seed of a run, as far as can be seen in it
    run: Run
    completed: bool  # all its steps succeeded; it may lack the metric all the same
    changed: tuple[str, ...]  # files that it changed and must not
    found: Mapping[str, Value]  # every name in its output, with the newest value
    phases: Phases
    guards: tuple[GuardReading, ...]
    editable: tuple[EditableFile, ...]
    repeats: tuple[Repeat, ...] = ()
    helps: str = ""  # what to type or to say where the run lacked something of this machine, or of its copy
    fault: str = ""  # why the newest line that names the metric holds no number
    checks: Run | None = None  # of the project's checks; None where it has none, or the code gave no number

    @property
    def value(self) -> float | None:
        """The metric; None where the run gave none."""
        return self.run.metrics.value if self.run.metrics else None

    @property
    def repeatability(self) -> Repeatability:
        """What the repeats showed: the first has the seed of the run itself, the others have seeds of their own."""
        if not self.repeats:
            return Repeatability.UNKNOWN
        first, *others = (repeat.value == self.value and not repeat.differs for repeat in self.repeats)
        if not first:
            return Repeatability.NOISY
        if self.seeded or not all(others):
            return Repeatability.SEEDED
        certain = bool(others) and len(self.repeats) * _digits(self.value) >= CERTAIN
        return Repeatability.EXACT if certain else Repeatability.UNSURE

    @property
    def next_seed(self) -> int | None:
        """The seed of the repeat that would tell more; None where nothing is left to learn."""
        open_ = self.repeatability in (Repeatability.UNKNOWN, Repeatability.UNSURE)
        return self.seed + len(self.repeats) if open_ else None


def differing(one: Mapping[str, Value], other: Mapping[str, Value]) -> tuple[str, ...]:
    """The names whose numbers differ, though neither the clock nor the machine's memory is what they measure."""
    names = (name for name in {**one, **other} if _number(one.get(name)) != _number(other.get(name)))
    return tuple(name for name in names if not set(re.split(r"[^a-z0-9]+", name.lower())) & _OF_THE_MACHINE)


def _only_printed(name: str, metrics: Metrics) -> bool:
    """Whether a guard on a peak of memory has only what the run says about it."""
    return bool(memory_name(name)[0]) and name not in metrics.measured


def read_guards(guards: Mapping[str, str], run: Run) -> tuple[GuardReading, ...]:
    """Every guard, read from the untouched code's own run; none where that gave no metric."""
    if run.metrics is None:
        return ()
    values, readings = run.metrics.values, []
    for name, bound in guards.items():
        value = _number(values.get(name))
        missing = "" if value is not None else f"its output holds no number for {name}"
        broken = missing or breach({name: bound}, [values], [values], run.metrics.measured)
        readings.append(GuardReading(name, bound, value, broken, _only_printed(name, run.metrics)))
    return tuple(readings)


# -- why a launch ends here ----------------------------------------------------------------------------------------


def refusal(trial: Trial, project: Project) -> SwarmError | None:
    """Why no swarm is founded on what the trial showed, in one line with the remedy; None where one can be."""
    run, numbers = trial.run, [name for name, value in trial.found.items() if _number(value) is not None]
    if run.failure is None:
        broken = next((guard for guard in trial.guards if guard.breach), None)
        if broken:
            return UsageError(_of_guard(broken, numbers))
        return _of_checks(trial.checks) if trial.checks and trial.checks.failure else None
    if trial.completed and run.failure is Failure.CODE:
        return UsageError("; ".join(filter(None, (_of_metric(project, trial, numbers), trial.helps))))
    if not run.failure.blames_the_idea and run.failure is not Failure.STALL:
        return _of_loss(run)
    if trial.changed:
        files = ", ".join(trial.changed[:_NEAR])
        remedy = "take what a run writes out of `fixed` and `editable` in swarm.toml, or let it write elsewhere"
        return UsageError(f"the untouched code changes {files}, which every run must leave alone: {remedy}")
    problem, remedy = _OF_FAILURE.get(run.failure, _OF_FAILURE[Failure.CODE])
    log = f"; the whole log: {run.log}" if run.log else ""
    if trial.helps:  # the code is well, so that nothing is to be mended in it
        reason = run.reason.removesuffix(f"; {trial.helps}")
        return UsageError(f"the untouched code {problem}: {reason}; {trial.helps}{log}")
    return UsageError(f"the untouched code {problem}: {run.reason or run.failure}; {remedy}{log}")


_OF_FAILURE = {
    Failure.CODE: (
        "does not run here",
        'mend and commit it, or say in swarm.toml how it is run, as command = ["{python}", "train.py"]',
    ),
    Failure.OOM: ("runs out of memory", "make it smaller, or let fewer agents share the machine: --agents 1"),
    Failure.TIMEOUT: ("does not end in its time", 'give a run more, as timeout = "1h" in swarm.toml, or a --budget'),
    Failure.STALL: ("stands still", 'mend it, or give a run more time, as timeout = "1h" in swarm.toml'),
    Failure.NAN: ("gives no number", "mend and commit it: there is nothing that could be improved upon"),
    Failure.DIVERGED: ("gives no number", "mend and commit it: there is nothing that could be improved upon"),
    Failure.INVALID: ("breaks the rules of a run", "mend and commit it: every run of it would be refused"),
}


def _of_loss(run: Run) -> SwarmError:
    """A run that was lost to the machine, or called off."""
    return SwarmError(f"the trial run was lost, and not by its code: {run.reason}; launch again")


def _of_checks(run: Run) -> SwarmError:
    """The checks that the untouched code fails, by which every idea would be refused."""
    if run.failure is not Failure.CHECKS:
        return _of_loss(run)
    return UsageError(
        f"the untouched code fails the project's checks, so that nothing built on it could be kept:"
        f" {run.reason.removeprefix('guard: ')}; mend the code, or `checks` in swarm.toml; the whole log: {run.log}"
    )


def _of_metric(project: Project, trial: Trial, numbers: list[str]) -> str:
    """The metric is not there: what is, the nearest first. Of a line, a file or a pattern, its reader knows why."""
    metric = project.metric
    if project.result or project.pattern:
        return f"the untouched code ran to its end: {trial.run.reason}"
    near = likest(metric, numbers)[:_NEAR]
    remedy = (
        f'say which of them it is, as metric = "{near[0]}" in swarm.toml, or print `{metric}: NUMBER`'
        if near
        else f'print `{metric}: NUMBER`, or name the file that holds it, as result = "results.json" in swarm.toml'
    )
    if trial.fault and not project.referee:
        return f"the untouched code ran to its end and gave no number for {metric}: {trial.fault}"
    whose = "the referee" if project.referee else "the untouched code"
    return f"{whose} ran to its end and gave no number for {metric}: {_there(near or numbers)}; {remedy}"


def _of_guard(guard: GuardReading, numbers: list[str]) -> str:
    if guard.value is not None:
        return (
            f"the untouched code breaks a guard: {guard.name} is {guard.value:.6g}, and must be {guard.bound}, so that"
            " nothing built on it could be kept; loosen `guards` in swarm.toml, or mend the code"
        )
    near = likest(guard.name, numbers)[:_NEAR]
    remedy = f"name one of them in `guards` of swarm.toml, or print `{guard.name}: NUMBER`"
    return f'the guard {guard.name} = "{guard.bound}" cannot be read: {_there(near or numbers)}; {remedy}'


def _there(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"its output has {', '.join(names[:_NAMED])}{more}" if names else "its output names no number at all"


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _digits(value: float | None) -> int:
    """How many digits of a number say something: 0.9472 has four, 20 and 0 have one."""
    if value is None:
        return 0
    mantissa = repr(float(value)).split("e")[0]
    return max(1, len(mantissa.replace(".", "").lstrip("-0").rstrip("0")))
