"""Prints the plan of a launch before it starts: what will be researched, where, and until when."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.execution.sandbox import sandbox
from swarm.execution.slot import UNTOUCHED, Slot, limits_for
from swarm.judge.decide import read_policy
from swarm.launch.data import named
from swarm.launch.estimate import estimate
from swarm.launch.plan import no_trial
from swarm.project.durations import write_duration
from swarm.project.environment import interpreter, own_environment
from swarm.project.project import keys_given, project_keys, settings_file
from swarm.project.secrets import SECRETS, concealed
from swarm.records import Prior
from swarm.views.plan_access import access_rows
from swarm.views.plan_agents import agent_rows, knob_rows
from swarm.views.plan_estimate import estimate_rows
from swarm.views.strict_json import strict_json
from swarm.views.trial import trial_json, trial_rows
from swarm.wording.formatting import clean, plural

if TYPE_CHECKING:
    from swarm.launch.plan import Plan
    from swarm.project.project import Project
    from swarm.project.settings import Setting

_OF_THE_PROJECT = (
    *("command", "referee", "editable", "fixed", "program", "guards", "checks", "include", "readable", "pass_env"),
    *("network", "origins"),
)
_NAMES = 10  # cells, at least, for the names of rows, so that tables below each other are aligned


def plan_json(plan: Plan, settings: Sequence[Setting] = ()) -> dict[str, object]:
    """The plan as values for programs (swarm/cli/shapes.py tells their shape), with where each came from."""
    config, project = plan.config, plan.project
    why_not = "it is switched off" if config.sandbox == "off" else sandbox.missing()
    return {
        "tag": plan.tag,
        "resumes": config.resume,
        "root": str(plan.root),
        "folder": str(plan.folder),
        "base_commit": plan.base_commit,
        "metric": project.metric,
        "direction": project.direction,
        "audited": bool(project.referee),
        **{name: strict_json(getattr(project, name)) for name in _OF_THE_PROJECT},
        "came_from": came_from(plan, settings),
        "budget_seconds": plan.budget,
        "timeout_seconds": project.timeout,
        "policy": config.policy,
        "limits": {name: getattr(config, name) for name in ("hours", "max_experiments", "max_usd", "max_tokens")},
        "device": plan.device,
        "agents": [_agent_json(agent, slot, plan.researchers.get(agent, "")) for agent, slot in plan.slots.items()],
        "researchers": dict(plan.researchers),
        "sandbox": {"asked": config.sandbox, "used": None if why_not else sandbox.name(), "why_not": why_not or None},
        "estimate": strict_json(estimate(plan)),
        "missing": list(plan.missing),
        "demonstration": plan.demonstration,
        "trial": trial_json(plan.trial) if plan.trial else None,
    }


def _agent_json(agent: str, slot: Slot, researcher: str) -> dict[str, object]:
    return {
        "agent": agent,
        "researcher": researcher,
        "device": slot.device,
        "index": slot.index,
        "cores": list(slot.cores),
        "threads": slot.threads,
        "memory_mb": slot.memory,
    }


def describe(plan: Plan, settings: Sequence[Setting] = ()) -> RenderableType:
    """The plan in a few lines, each with where its values came from, and with its trial where that is known."""
    parts: list[RenderableType] = [_table(_rows(plan, came_from(plan, settings)))]
    if plan.missing:
        parts.append(_table({"missing": "; ".join(plan.missing)}, "bold yellow"))
    if plan.trial:
        parts += [Text(), describe_trial(plan)]
    return Group(*parts)


def describe_settings(settings: Sequence[Setting]) -> RenderableType:
    """Where every value came from that somebody gave; those that nobody gave are only named, in one row."""
    given = [setting for setting in settings if setting.origin != "default"]
    others = ", ".join(setting.name for setting in settings if setting.origin == "default")
    rows = {**dict(map(_origin_of, given)), "by default": others}
    return Group(Text("\nwhere each setting comes from", "dim"), _table(rows))


def describe_trial(plan: Plan) -> RenderableType:
    """What the plan's trial run showed."""
    return _table(trial_rows(plan, plan.trial) if plan.trial else {})


def describe_estimate(plan: Plan) -> RenderableType:
    """What the plan comes to, by what is known of a run now."""
    return _table({"estimate": estimate_rows(plan)["estimate"]})


def _origin_of(setting: Setting) -> tuple[str, str]:
    value = concealed(setting.name, setting.value) if setting.name in SECRETS and setting.value else setting.text
    return setting.name, f"{value} ({setting.origin})"


def came_from(plan: Plan, settings: Sequence[Setting]) -> dict[str, str]:
    """Where each value of the project and each setting came from: a file, a flag, a variable, or "default"."""
    given, file = keys_given(plan.root), settings_file(plan.root)
    keys = {key: file if key in given else plan.project.origins.get(key, "default") for key in project_keys()}
    said = {setting.name: setting.origin for setting in settings if setting.origin != "default"}
    return {setting.name: setting.origin for setting in settings} | keys | said


def _rows(plan: Plan, labels: Mapping[str, str]) -> dict[str, str]:
    config, project = plan.config, plan.project

    def by(*names: str) -> str:
        """Where these came from, after what they are; nothing where nobody knows."""
        found = list(dict.fromkeys(labels[name] for name in names if name in labels))
        said = [origin for origin in found if origin != "default"] or found
        return f" ({', '.join(said)})" if said else ""

    return {
        **({"project": f"{project.prefix.rstrip('/')}, a part of its repository"} if project.prefix else {}),
        "swarm": f"{plan.tag}" + (" (resumed)" if config.resume else ""),
        **_labelled(agent_rows(plan), {"researcher": by("researcher"), "agents": by("agents", "gpus", "device")}),
        "branches": f"autoresearch/{plan.tag} and autoresearch/{plan.tag}-gpu<k>, from {plan.base_commit[:7]}",
        "runs": f"{_command(plan)}{by('command')}",
        "edits": f"{', '.join(project.editable)}{by('editable')}; {_program(plan)}",
        "fixed": f"{_few(project.fixed) or 'nothing'}{by('fixed')}",
        **({"missing": "; ".join(plan.access.gaps)} if plan.access.gaps else {}),
        "metric": f"{_metric(project, by('metric'), by('direction'))}; {_measured(plan)}",
        **knob_rows(plan),
        "guards": f"{_guards(project.guards)}{by('guards')}" if project.guards else "none",
        **({"checks": f"{'; '.join(project.checks)}{by('checks')}"} if project.checks else {}),
        **access_rows(plan),
        "trial": _trial(plan),
        "seed": plan.code.seed,
        "budget": plan.code.unread or f"{plan.budget:g} s of training per run{by('budget')}",
        "timeout": _timeout(plan, by("timeout")),
        "policy": f"{config.policy}{by('policy')}{_exact(config.policy)}",
        "limits": _limits(plan, labels),
        **({"ablation": ABLATION} if config.ablation and read_policy(config.policy).levels else {}),
        **estimate_rows(plan),
        **({"DEMONSTRATION ONLY": plan.demonstration} if plan.demonstration else {}),
        "data": "not prepared" if plan.missing else named(plan.data) or "whatever the project brings",
        **({"prior art": _prior(plan.prior)} if plan.prior else {}),
        "files": str(plan.folder.relative_to(plan.root)),
    }


ABLATION = (
    "at the end at most a tenth of the runs, from 100 on, show which steps of the champion matter (`--no-ablation`)"
)


def _prior(records: Sequence[Prior]) -> str:
    estimated = sum(record.estimated for record in records)
    return f"{len(records)} records, {estimated} of them with an estimated effect: they order what is tried"


def _program(plan: Plan) -> str:
    """Where researchers read what the project is about."""
    name = plan.project.program
    if (plan.root / name).is_file():
        return f"{name} is read anew for every idea"
    return f"there is no {name}, which would tell researchers what you know of the problem"


def _trial(plan: Plan) -> str:
    """How it is seen beforehand that the untouched code runs, and what it gives."""
    if why := no_trial(plan):
        return why
    if plan.trial:
        return "made already, as shown below"
    return (
        f"the untouched code runs once on {next(iter(plan.slots))} first; nothing is founded unless it gives its number"
    )


def _command(plan: Plan) -> str:
    """As it is typed, with the repository's own interpreter where that is the one."""
    own = own_environment(plan.root)
    python = interpreter(plan.root) if own else "python"
    inside = python.removeprefix(f"{plan.root}/")
    return " ".join(plan.project.command).replace("{python}", inside).replace("{venv}", str(own))


def _origin(plan: Plan, key: str) -> str:
    """Where a key was found that the settings do not give."""
    return f" ({plan.project.origins[key]})" if key in plan.project.origins else ""


def _timeout(plan: Plan, label: str) -> str:
    """When a run is ended whatever it does, and what that comes from."""
    project = plan.project
    if project.timeout is not None:
        return f"{write_duration(project.timeout)} for the whole of a run{label}"
    if not project.referee:
        most = write_duration(UNTOUCHED)
        return f"by what the untouched code takes, which may take {most} (`timeout` in swarm.toml says it)"
    limits = limits_for(plan.budget, plan.device.split(":")[0])
    cpu = f" or {write_duration(limits.cpu)} of CPU time" if limits.cpu else ""
    return f"{write_duration(limits.wall)}{cpu} for training, by the budget; the referee has its own"


def _exact(policy: str) -> str:
    """Of a keep rule under which nothing is run twice, that and why."""
    if not read_policy(policy).noiseless:
        return ""
    return ": equal code gives equal numbers, so that one run decides and only the newest state is run again"


def _metric(project: Project, metric: str, direction: str) -> str:
    """What is measured and which way is better, with where both came from, which is said once where that is one."""
    same = metric == direction
    return f"{project.metric}{'' if same else metric}, {project.direction} is better{direction}"


def _guards(bounds: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {bound}" for name, bound in bounds.items())


def _labelled(rows: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{text}{labels.get(name, '')}" for name, text in rows.items()}


def _table(rows: Mapping[str, str], style: str = "") -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=f"bold {style}", min_width=_NAMES)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, Text(clean(text), style))  # no markup: [tool.swarm]
    return table


def _few(paths: Sequence[str]) -> str:
    return ", ".join(paths) if len(paths) <= 4 else f"{', '.join(paths[:3])} and {len(paths) - 3} more"


def _measured(plan: Plan) -> str:
    """What a run's number comes from."""
    project = plan.project
    if not project.referee and project.result:
        return f"as the run writes it to {project.result}{_origin(plan, 'result')} (unaudited)"
    if not project.referee and project.pattern:
        return f"the last match of {project.pattern!r} in the run's log{_origin(plan, 'pattern')} (unaudited)"
    if not project.referee:
        return "as printed by the run (unaudited)"
    hidden = "; confirmations and the closing wave on a hidden split too" if plan.project.hidden else ""
    return f"measured by the referee{_in_turn(plan.device, project.referee)}{hidden}"


def _in_turn(device: str, referee: Sequence[str]) -> str:
    """How the trainer's own referee keeps its two readers apart where no seal does (trainer/places.py)."""
    if "trainer.referee" not in referee or (device.partition(":")[0] == "cpu" and sys.platform == "linux"):
        return ""
    return ", whose two readers run one after the other, as nothing seals them here"


def _limits(plan: Plan, labels: Mapping[str, str]) -> str:
    config = plan.config
    said = {name: f" ({labels[name]})" if name in labels else "" for name in ("hours", "max_experiments")}
    parts = [
        f"{config.hours:g} h{said['hours']}" if config.hours else "",
        f"{plural(config.max_experiments, 'experiment')}{said['max_experiments']}" if config.max_experiments else "",
    ]
    return ", ".join(filter(None, parts)) or "none: it runs until Ctrl-C (once drains, twice stops)"
