"""Makes the trial run on the first slot of a plan, and short ones again, in the way that every run of a swarm is made.

Whatever ends it, no process is left, and nothing but its own folder is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from swarm.execution.machine.removal import remove
from swarm.execution.reading.logs import whole_of
from swarm.execution.reading.passed import passed_values, without
from swarm.execution.reading.summary import Value, read_printed
from swarm.execution.runner import LocalRunner
from swarm.execution.sandbox.sandbox import wanted
from swarm.execution.spec import SECOND, Result
from swarm.launch.not_installed import what_helps
from swarm.launch.plan import Plan, base_tree, environment
from swarm.launch.trial import CHECKS, EditableFile, Phases, Repeat, Trial, differing, read_guards
from swarm.launch.trial_store import alone, identity, trial_folder
from swarm.ledger.runs import SELECTION_SEEDS
from swarm.project.project import Project
from swarm.records import Measure, Progress, Purpose, Run
from swarm.text import read_text

QUICK = 60.0  # seconds below which a run is made again, to see whether its number repeats
PATIENCE = 120.0  # seconds for all repeats of a run together, after the two that tell most
SEED = SELECTION_SEEDS + 1  # of the first run of anything

Report = Callable[[int, Progress], None]  # which run it is, from 1 on or CHECKS, and how far it is


def make_trial(plan: Plan, editable: tuple[EditableFile, ...], report: Report, always: bool = False) -> Trial:
    """The untouched code on the plan's first slot; with `always` also a long run is made again.

    UsageError where another launch does the same here.
    """
    with alone(plan.root) as folder, _environment(environment(plan)):
        return asyncio.run(_made(plan, editable, folder, report, always))


async def _made(plan: Plan, editable: tuple[EditableFile, ...], folder: Path, report: Report, always: bool) -> Trial:
    agent, slot = next(iter(plan.slots.items()))
    own = trial_folder(folder, agent)
    runner = LocalRunner(
        plan.project, base_tree(plan), own, slot, sandboxed=wanted(plan.config.sandbox), checkout=plan.root
    )
    try:
        await asyncio.to_thread(_clear, runner, own)  # a launch was killed in its trial
        run, result, helps = await _run_once(plan, runner, 1, SEED, report)
        found, fault = _names(run, plan.project)
        trial = Trial(
            of=identity(plan),
            agent=agent,
            slot=slot,
            seed=SEED,
            seeded=plan.code.seeded,
            run=run,
            completed=result is not None and bool(result.steps) and all(step.succeeded for step in result.steps),
            changed=result.changed if result else (),
            found=found,
            phases=_phases(run, result),
            guards=read_guards(plan.project.guards, run),
            editable=editable,
            helps=helps,
            fault=fault,
        )
        if trial.value is not None and plan.project.checks and not any(guard.breach for guard in trial.guards):
            checks, _, _ = await _run_once(plan, runner, CHECKS, SEED, report)
            trial = replace(trial, checks=checks)
        while (seed := trial.next_seed) is not None and _worth_it(trial, plan.project, always):
            number = len(trial.repeats) + 2
            again, _, _ = await _run_once(plan, runner, number, seed, report)
            repeat = _repeat(seed, again, trial.found, _names(again, plan.project)[0])
            trial = replace(trial, repeats=(*trial.repeats, repeat))
        return trial
    finally:
        runner.leftovers()  # after a Ctrl-C: the guard has ended all of its tree before this returns
        for workspace in ("run", "referee", "guards", "runs"):
            with contextlib.suppress(OSError):
                remove(own / workspace)


async def _run_once(
    plan: Plan, runner: LocalRunner, number: int, seed: int, report: Report
) -> tuple[Run, Result | None, str]:
    """The run, how its steps ended, and what helps where it lacked something."""
    source, purpose = plan.code.source, Purpose.BASELINE if number != CHECKS else Purpose.CHECK
    work = Measure(f"trial.{number}", 1, "trial", "trial", purpose, seed, source.sha, source.sha, plan.budget)
    run = await runner.run(work, source, lambda progress: report(number, progress))
    result = runner.result(work.run, work.attempt)
    helps = what_helps(run, runner.spec(work.run, work.attempt), plan.project) if result else ""
    runner.acknowledge(work.run, work.attempt)
    return run, result, helps


def _worth_it(trial: Trial, project: Project, always: bool) -> bool:
    """Whether another run of the code is worth its time; what a referee measures is judged by its noise anyway."""
    made, seconds = len(trial.repeats), trial.phases.whole
    if trial.value is None or not trial.completed or made >= 6 or (trial.checks and trial.checks.failure):
        return False
    if always and made < 2:
        return True
    return not project.referee and seconds < QUICK and (made + 1) * seconds <= PATIENCE


def _repeat(seed: int, run: Run, before: Mapping[str, Value], names: Mapping[str, Value]) -> Repeat:
    if run.metrics is None:
        return Repeat(seed, None, reason=run.reason)
    return Repeat(seed, run.metrics.value, differing(before, names))


# -- reading -------------------------------------------------------------------------------------------------------


def _names(run: Run, project: Project) -> tuple[dict[str, Value], str]:
    """Every name in the run's output with its newest value, and what a referee measured; and why that of the metric is
    no number."""
    text = whole_of(Path(run.log)) if run.log else ""
    text = without(passed_values(project, os.environ), text)
    printed = read_printed(text, [project.metric, *project.guards])
    found = {**printed.values, **(run.metrics.values if run.metrics else {})}
    return found, printed.faults.get(project.metric, "")


def _phases(run: Run, result: Result | None) -> Phases:
    steps = [step for step in result.steps if step.name != SECOND] if result else []
    if not steps:
        return Phases(run.seconds, None, run.training_seconds, None)
    start = steps[0].start
    referee = sum(step.seconds for step in steps[1:]) if len(steps) > 1 else None
    return Phases(run.seconds, start, steps[0].seconds - (start or 0.0), referee)


def editable_files(plan: Plan) -> tuple[EditableFile, ...]:
    """What a researcher can edit."""
    files = plan.code.source.files.items()
    return tuple(_editable_file(path, content, plan.code.knobs.get(path, 0)) for path, content in files)


def _editable_file(path: str, content: bytes, knobs: int) -> EditableFile:
    lines = read_text(content).text.splitlines()
    return EditableFile(path, sum(bool(line.strip()) for line in lines), knobs)


# -- before and after ----------------------------------------------------------------------------------------------


def _clear(runner: LocalRunner, folder: Path) -> None:
    """Ends what a killed launch left running, and forgets its files."""
    runner.leftovers()
    remove(folder)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables for the runs, which get theirs from this process's, and for nothing after them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
