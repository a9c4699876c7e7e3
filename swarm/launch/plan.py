"""The plan of a swarm, made and checked in full before anything is changed. Bad input is refused here."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarm.errors import UsageError
from swarm.execution.included import Included, include
from swarm.execution.runner import Slot
from swarm.execution.sandbox import wanted
from swarm.execution.seed_and_budget import how_seeded, seed_reaches, unread_budget, with_budget
from swarm.execution.workspace import parses
from swarm.history.repository import History
from swarm.judge.decide import POLICIES
from swarm.launch.access import refuse_access, unheld
from swarm.launch.comparability import comparability_key, refuse_other_key
from swarm.launch.data import prepared
from swarm.launch.files import find_files
from swarm.launch.slots import SlotAssignment, local_slots, unfit
from swarm.launch.start import (
    base_commit,
    choose_tag,
    find_project,
    known_swarms,
    refuse_blocking_branches,
    refuse_changes,
)
from swarm.launch.trial import Repeatability, Trial
from swarm.ledger.database import locked
from swarm.ledger.home import ledger_path
from swarm.project.project import Project
from swarm.project.settings import Config, check_url, renamed
from swarm.records import CATEGORIES, Edit, Source
from swarm.researchers.auto import refuse_unknown, resolve
from swarm.researchers.mix import assign
from swarm.researchers.registry import create, look_in
from swarm.researchers.sweep.knob_space import open_knob_space
from swarm.text import is_unicode

EXACT = "exact"  # the keep rule where equal runs give equal numbers

# The settings that a resumed swarm does not keep.
ANEW = ("tag", "resume", "from_tag", "detach", "dry_run", "address", "wait", "trial")


@dataclass(frozen=True, slots=True)
class Plan:
    """One swarm, ready to start but for what is `missing`, which only a dry run may lack. `root` is the project's
    folder, which may be a part of its repository; `slots` and `researchers` are by agent name; `key` says with which
    results its own may be compared; `trial` is what is known of the untouched code.
    """

    root: Path
    project: Project
    config: Config
    tag: str
    slots: Mapping[str, Slot]
    researchers: Mapping[str, str]
    device: str  # "cuda: NVIDIA H200"
    base_commit: str
    source: Source
    gaps: tuple[str, ...]  # what is tracked and a run will not find in its copy, for people
    budget: float
    key: str
    data: Mapping[str, object]
    included: Included
    unheld: tuple[str, ...]  # what the code opens and runs will not find, a line each
    seed: str  # how a run's seed reaches the code, for people
    seeded: bool  # whether it does, as far as can be seen
    hosts: Mapping[str, int]  # GPUs by host of a cluster; empty where the swarm keeps to this machine
    categories: tuple[str, ...]  # what ideas for this project can be about, as far as its files tell
    knobs: Mapping[str, int]  # how many numbers and choices the sweep may turn, by file
    accelerator: str  # what Ray calls its GPUs' model, where the cluster has others too
    missing: tuple[str, ...] = ()  # each in one line with its remedy
    trial: Trial | None = None
    unread: str = ""  # that the code does not ask for its budget, for people
    idle: bool = False  # the sweep is alone, and finds nothing to turn; only a plan that is looked at may be so

    @property
    def folder(self) -> Path:
        return self.root / ".swarm" / self.tag


def make_plan(
    root: Path,
    config: Config,
    today: datetime.date | None = None,
    find_slots: Callable[[Config, str], SlotAssignment] = local_slots,
    *,
    thinks: bool = True,
    project: Project | None = None,
) -> Plan:
    """The plan for `config` on the repository at `root`; UsageError, with the remedy, where it cannot be done.

    `find_slots` gives the agents' slots, on the device of a resumed swarm; it is called late, as a cluster may take its
    time. Nothing is changed, in the repository or elsewhere. Where no agent `thinks`, there will only be runs: neither
    researchers nor branches are checked. `project` is what is researched, where the folder's settings do not say it.
    """
    history = History(root)
    root = history.folder
    project = project or find_project(history)
    look_in(root)
    known = known_swarms(root)
    tag = choose_tag(config, history, known, today or datetime.date.today())
    if thinks:
        refuse_blocking_branches(history, tag)
    if locked(ledger_path(root)):
        raise UsageError(
            "a swarm is already running on this repository: see it with `python -m swarm watch`,"
            " end it with `python -m swarm stop`"
        )
    if config.resume:
        config = _resumed(config, renamed(known[tag].settings))
    wanted(config.sandbox)  # raises where something is missing
    base = known[tag].base_commit if config.resume else base_commit(config, history, known, root)
    _refuse_unreachable(config, history)
    files = find_files(project, history, base)
    project = files.project
    if not config.resume and not config.from_tag:
        refuse_changes(history, project)
    _refuse_broken(files.source)
    budget = known[tag].budget if config.resume else config.budget or _environment_budget() or project.budget
    data, missing = _prepared(project, root, config)
    held = frozenset(history.outside(path) for path in history.tree(base).entries)
    refuse_access(project, root)
    included = include(root, project.include, held)
    assignment = find_slots(config, known[tag].device if config.resume else "")
    slots, device = assignment.slots, assignment.device
    if why := unfit(slots.values(), project):
        raise UsageError(why)
    options = researcher_options(config, project)
    chosen = assign(config.researcher, list(slots)).items() if thinks else ()
    if thinks:
        refuse_unknown(config.option, {name for _, name in chosen})
    researchers = {agent: resolve(name, options) for agent, name in chosen}
    for name in dict.fromkeys(researchers.values()):
        create(name, "gpu0", config.researcher_seed, options)  # raises where something is missing
    space = open_knob_space(files.source, device.split(":")[0])
    idle = {*researchers.values()} == {"sweep"} and not (space and space.is_open())
    if idle and not config.dry_run:
        raise UsageError(nothing_to_turn(project))
    key = comparability_key(root, project, files.fixed, device, slots, budget, data, included)
    if config.resume:
        refuse_other_key(tag, key, json.loads(known[tag].key))
    return Plan(
        root=root,
        project=project,
        config=config,
        tag=tag,
        slots=slots,
        researchers=researchers,
        device=device,
        base_commit=base,
        source=files.source,
        gaps=tuple(history.tree(base).gaps()),
        budget=budget,
        key=json.dumps(key, sort_keys=True),
        data=data,
        included=included,
        unheld=unheld(root, project, files.source, held, included),
        seed=how_seeded(files.source, files.fixed),
        seeded=seed_reaches(files.source, files.fixed),
        categories=_in_order(space.categories()) if space else (),
        knobs=space.places() if space else {},
        hosts=assignment.hosts,
        accelerator=assignment.accelerator,
        missing=missing,
        unread=unread_budget(files.source, files.fixed),
        idle=idle,
    )


def nothing_to_turn(project: Project) -> str:
    """Why nobody would have an idea where the sweep is alone, with the remedy."""
    return (
        f"the sweep finds nothing to turn in {', '.join(project.editable)}: no number, switch or choice that its"
        " name or a comment says may move; name other files in `editable`, or let a language model or a coding"
        " CLI think: --researcher"
    )


def no_trial(plan: Plan) -> str:
    """Why the untouched code is not tried out before this swarm is founded, for people; "" where it is."""
    if plan.config.resume:
        return "none: its baselines were measured before"
    if plan.config.trial == "off":
        return "none, as was asked: the baselines will tell whether the code runs"
    if plan.hosts:
        return "none on a cluster: the baselines will tell whether the code runs"
    if plan.device.startswith("sim") and plan.config.trial != "always":
        return "none on simulated GPUs: the baselines will tell whether the code runs"
    return ""


def with_policy(plan: Plan, chosen: bool) -> Plan:
    """The plan with the keep rule that its trial speaks for, unless a person has `chosen` one."""
    exact = plan.trial is not None and plan.trial.repeatability is Repeatability.EXACT
    if chosen or not exact or plan.project.referee or EXACT not in POLICIES:
        return plan
    return replace(plan, config=replace(plan.config, policy=EXACT))


def researcher_options(config: Config, project: Project) -> dict[str, str]:
    """The settings that each agent's researcher gets, as text."""
    fixed = "\n".join(filter(is_unicode, (*project.fixed, project.program)))
    editable = "\n".join(project.editable)
    return {**config.option, "max_usd": str(config.max_usd), "editable": editable, "fixed": fixed}


def base_tree(plan: Plan) -> bytes:
    """The tar archive from which every workspace of the swarm is made, with the plan's budget in it."""
    history = History(plan.root)
    fixed = {history.inside(path) for path in plan.project.fixed}
    return with_budget(history.base_tree(plan.base_commit), fixed, plan.budget)


def environment(plan: Plan) -> dict[str, str]:
    """Variables for all runs: they use the data that the plan found, whatever `prepare.py` makes meanwhile."""
    return {"AUTORESEARCH_CORPUS": str(plan.data["key"])} if "key" in plan.data else {}


def passed(plan: Plan) -> dict[str, str]:
    """The variables of this shell that runs get because the project names them."""
    return {name: os.environ[name] for name in plan.project.pass_env if name in os.environ}


def categories(plan: Plan) -> dict[str, tuple[str, str]]:
    """For each agent its device and the category of ideas it looks at first; none where the files tell of none."""
    about = plan.categories or ("",)
    return {
        agent: (f"{plan.device.split(': ', 1)[1]}", about[place % len(about)]) for place, agent in enumerate(plan.slots)
    }


def _prepared(project: Project, root: Path, config: Config) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """The prepared data, and for a plan that is only looked at what is missing of it."""
    try:
        return prepared(project, root, root), ()
    except UsageError as error:
        if not config.dry_run or config.trial == "always":
            raise
        return {}, (str(error),)


def _in_order(found: tuple[str, ...]) -> tuple[str, ...]:
    """The categories of a language model's training first, in their usual order, then the others by their worth."""
    usual = tuple(category for category in CATEGORIES if category in found)
    return usual + tuple(category for category in found if category not in usual)


def _resumed(config: Config, first: Mapping[str, Any]) -> Config:
    """The settings that the swarm was launched with, but for those that are given now."""
    default = Config()
    silent = {
        name: value
        for name, value in first.items()
        if name not in (*ANEW, "option") and getattr(config, name, value) == getattr(default, name, None)
    }
    if config.gpus or config.agents:
        silent = {name: value for name, value in silent.items() if name not in ("gpus", "agents")}
    known = {field.name for field in dataclasses.fields(Config)}
    kept = {name: value for name, value in silent.items() if name in known}
    return dataclasses.replace(config, **kept, option={**first["option"], **config.option})


def _refuse_unreachable(config: Config, history: History) -> None:
    """Mistyped targets; whether they answer is seen when there is something to send."""
    if config.notify:
        check_url(config.notify)
    remotes = history.remotes()
    if config.push and config.push not in remotes and not re.search(r"[/:]", config.push):
        known = ", ".join(remotes) or "none"
        raise UsageError(f"--push {config.push}: there is no such git remote; there are: {known}")


def _refuse_broken(source: Source) -> None:
    wrong = parses(Edit(source.files))
    if wrong:
        raise UsageError(f"{wrong}: mend and commit it first")


def _environment_budget() -> float | None:
    """TIME_BUDGET, as prepare.py and train.py read it."""
    text = os.environ.get("TIME_BUDGET")
    try:
        budget = float(text) if text else None
    except ValueError as error:
        raise UsageError(f"TIME_BUDGET={text!r}: it must be a number of seconds") from error
    if budget is not None and not 0 < budget < math.inf:
        raise UsageError(f"TIME_BUDGET={text}: it must be above 0, and finite")
    return budget
