"""The plan of a swarm, made and checked in full before anything is changed. Bad input is refused here."""

from __future__ import annotations

import datetime
import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from swarm.errors import UsageError
from swarm.execution.sandbox.sandbox import wanted
from swarm.execution.seed_and_budget import with_budget
from swarm.execution.slot import Slot
from swarm.history.repository import History
from swarm.launch.access import Access, find_access
from swarm.launch.code import Code, read_code, refuse_unworkable
from swarm.launch.comparability import comparability_key, refuse_other_key
from swarm.launch.data import prepared
from swarm.launch.demonstration import demonstration
from swarm.launch.files import find_files
from swarm.launch.slots import SlotAssignment, local_slots, unfit
from swarm.launch.start import Start, find_project, find_start, refuse_changes
from swarm.launch.trial import Repeatability, Trial
from swarm.project.prior import prior_art
from swarm.project.project import Project
from swarm.project.settings import Config, check_url
from swarm.records import Prior
from swarm.researchers.auto import refuse_unknown, resolve
from swarm.researchers.mix import assign
from swarm.researchers.registry import create, look_in
from swarm.text import is_unicode
from swarm.trackers import registry as trackers

EXACT = "exact"  # the keep rule where equal runs give equal numbers


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
    base_commit: str
    code: Code
    access: Access
    researchers: Mapping[str, str]
    slots: Mapping[str, Slot]
    device: str  # "cuda: NVIDIA H200"
    hosts: Mapping[str, int]  # GPUs by host of a cluster; empty where the swarm keeps to this machine
    accelerator: str  # what Ray calls its GPUs' model, where the cluster has others too
    budget: float
    data: Mapping[str, object]
    key: str
    demonstration: str = ""  # why edited code can read what it is measured on; "" where it cannot
    missing: tuple[str, ...] = ()  # each in one line with its remedy
    trial: Trial | None = None
    prior: tuple[Prior, ...] = ()  # what is known elsewhere: it orders what is tried
    hours_anew: bool = False  # it is resumed, with hours that count from now

    @property
    def idle(self) -> bool:
        """Whether nobody would have an idea: the sweep is alone with nothing to turn. Only a dry run may be so."""
        return {*self.researchers.values()} == {"sweep"} and not self.code.turnable

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
    typed: Collection[str] = (),
) -> Plan:
    """The plan for `config` on the repository at `root`; UsageError, with the remedy, where it cannot be done.

    `find_slots` gives the agents' slots, on the device of a resumed swarm; it is called late, as a cluster may take its
    time. Nothing is changed, in the repository or elsewhere. Where no agent `thinks`, there will only be runs: neither
    researchers nor branches are checked. `project` is what is researched, where the folder's settings do not say it;
    `typed` are the settings that somebody has just typed, which a resumed swarm takes even where they are the default.
    """
    history = History(root)
    root = history.folder
    project = project or find_project(history)
    look_in(root)
    start = find_start(config, history, today or datetime.date.today(), moves_branches=thinks, typed=typed)
    config = start.config
    _refuse_unreachable(config, history)
    files = find_files(project, history, start.commit)
    project = files.project
    if not config.resume and not config.from_tag:
        refuse_changes(history, project)
    refuse_unworkable(files.source)
    budget = _budget(start, project)
    data, missing = _prepared(project, root, config)
    access = find_access(history, files, start.commit)
    found = _slots(find_slots, start, project)
    code = read_code(files, found.device.split(":")[0])
    researchers = _researchers(config, project, code, found.slots) if thinks else {}
    key = comparability_key(root, project, files.fixed, found.device, found.slots, budget, data, access.included)
    if start.before:
        refuse_other_key(start.tag, key, json.loads(start.before.key))
    return Plan(
        root=root,
        project=project,
        config=config,
        tag=start.tag,
        base_commit=start.commit,
        code=code,
        access=access,
        researchers=researchers,
        hours_anew=start.hours_anew,
        slots=found.slots,
        device=found.device,
        hosts=found.hosts,
        accelerator=found.accelerator,
        budget=budget,
        data=data,
        key=json.dumps(key, sort_keys=True),
        demonstration=demonstration(project, data, root, access.held, config.sandbox),
        missing=missing,
        prior=prior_art(root, project.metric),
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
    if chosen or not exact or plan.project.referee:
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
    about = plan.code.categories or ("",)
    return {
        agent: (f"{plan.device.split(': ', 1)[1]}", about[place % len(about)]) for place, agent in enumerate(plan.slots)
    }


def _budget(start: Start, project: Project) -> float:
    """The seconds of training per run: a resumed swarm keeps its own."""
    if start.before:
        return start.before.budget
    return start.config.budget or _environment_budget() or project.budget


def _slots(find_slots: Callable[[Config, str], SlotAssignment], start: Start, project: Project) -> SlotAssignment:
    found = find_slots(start.config, start.before.device if start.before else "")
    if why := unfit(found.slots.values(), project):
        raise UsageError(why)
    return found


def _researchers(config: Config, project: Project, code: Code, agents: Iterable[str]) -> dict[str, str]:
    """Who thinks for each agent. UsageError where one of them cannot be made, or would have no idea."""
    options = researcher_options(config, project)
    chosen = assign(config.researcher, list(agents)).items()
    refuse_unknown(config.option, {name for _, name in chosen})
    researchers = {agent: resolve(name, options) for agent, name in chosen}
    for name in dict.fromkeys(researchers.values()):
        create(name, "gpu0", config.researcher_seed, options)  # raises where something is missing
    if {*researchers.values()} == {"sweep"} and not code.turnable and not config.dry_run:
        raise UsageError(nothing_to_turn(project))
    return researchers


def nothing_to_turn(project: Project) -> str:
    """Why nobody would have an idea where the sweep is alone, with the remedy."""
    return (
        f"the sweep finds nothing to turn in {', '.join(project.editable)}: no number, switch or choice that its"
        " name or a comment says may move; name other files in `editable`, or let a language model or a coding"
        " CLI think: --researcher"
    )


def _prepared(project: Project, root: Path, config: Config) -> tuple[Mapping[str, object], tuple[str, ...]]:
    """The prepared data, and for a plan that is only looked at what is missing of it."""
    try:
        return prepared(project, root, root), ()
    except UsageError as error:
        if not config.dry_run or config.trial == "always":
            raise
        return {}, (str(error),)


def _refuse_unreachable(config: Config, history: History) -> None:
    """UsageError for a sandbox that this machine lacks, and for mistyped targets, which are not asked yet."""
    wanted(config.sandbox)  # raises where something is missing
    if config.notify:
        check_url(config.notify)
    if config.track:
        trackers.check(config.track)
    remotes = history.remotes()
    if config.push and config.push not in remotes and not re.search(r"[/:]", config.push):
        known = ", ".join(remotes) or "none"
        raise UsageError(f"--push {config.push}: there is no such git remote; there are: {known}")


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
