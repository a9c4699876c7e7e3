"""Keeps the trial run of a repository: for the next launch of the same code, and for the swarm that counts it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import structs

from swarm import foreign
from swarm.errors import UsageError
from swarm.execution.sandbox.sandbox import wanted
from swarm.execution.slot import COUNTED, READING, START, TOOK
from swarm.execution.spec import write_whole
from swarm.filelock import take
from swarm.launch.plan import Plan, no_trial
from swarm.launch.trial import Trial
from swarm.ledger.experiments import baseline_of
from swarm.ledger.home import make_home
from swarm.records import Run

FOLDER = "_trial"  # in .swarm; no tag has an underscore
STORED = "trial.json"
FRESH = 86400.0  # seconds after which a trial is known, and counts as a run no more: machines change


def identity(plan: Plan) -> str:
    """What a trial is a trial of: commit, comparability key, the project's keys, and whether a sandbox is around it."""
    project = {name: value for name, value in msgspec.to_builtins(plan.project).items() if name != "origins"}
    parts = [plan.base_commit, plan.key, project, wanted(plan.config.sandbox)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def with_known_trial(plan: Plan) -> Plan:
    """The plan with the trial that was made for an earlier one, where there is one and no other is asked for."""
    known = None if no_trial(plan) or plan.config.trial == "always" else stored_trial(plan)
    return replace(plan, trial=known)


def stored_trial(plan: Plan) -> Trial | None:
    """The trial that was made of this very plan's code and settings; None where there is none that can be read."""
    try:
        raw = foreign.parse((_home(plan.root) / STORED).read_bytes())
        trial = msgspec.convert(raw, Trial)
    except (OSError, ValueError):  # not there, damaged, or of another version
        return None
    return trial if trial.of == identity(plan) else None


def store(plan: Plan, trial: Trial) -> None:
    write_whole(_home(plan.root) / STORED, msgspec.to_builtins(trial))


def trial_folder(home: Path, agent: str) -> Path:
    """Where the runs of a trial work, shaped like the folder of the agent whose slot they have."""
    return home / agent


@contextlib.contextmanager
def alone(root: Path) -> Iterator[Path]:
    """The folder of the repository's trials, for one launch at a time; UsageError where another has it."""
    make_home(root / ".swarm")
    home = _home(root)
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        if not take(lock.fileno(), lock.name):
            raise UsageError("another launch tries this repository out now: wait for it, or end it")
        yield home


def first_run(plan: Plan, now: float | None = None) -> tuple[str, Run] | None:
    """The trial as the first run of the untouched code of its agent, which is the name before it, with its files where
    that agent's are. None where the swarm has to make that run itself.

    It may be asked again after a crash: files are copied, and only what is merely a cache is moved.
    """
    trial, now = plan.trial, time.time() if now is None else now
    if trial is None or trial.run.metrics is None or plan.slots.get(trial.agent) != trial.slot:
        return None
    if not 0 <= now - trial.run.started <= FRESH:
        return None
    run = f"{baseline_of(plan.tag, trial.agent)}.1"
    source, target = trial_folder(_home(plan.root), trial.agent), plan.folder / trial.agent
    logs = target / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    before = Path(trial.run.log).name.removesuffix(".log")
    for log in (source / "logs").glob(f"{before}.*log"):
        shutil.copyfile(log, logs / log.name.replace(before, f"{run}.1", 1))
    for known in (START, TOOK, READING, COUNTED):  # what the untouched code takes, which limits the swarm's runs
        if (source / known).exists():
            shutil.copyfile(source / known, target / known)
    if (source / "compiled").is_dir() and not (target / "compiled").exists():
        (source / "compiled").rename(target / "compiled")
    return trial.agent, structs.replace(trial.run, run=run, attempt=1, log=str(logs / f"{run}.1.log"))


def _home(root: Path) -> Path:
    return root / ".swarm" / FOLDER
