"""Prints the plan of a launch before it starts: what will be researched, where, and until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.board.program import roles
from swarm.coordinator.webhook import place
from swarm.execution.sandbox import exposure, missing, protection
from swarm.execution.slot import UNTOUCHED, limits_for
from swarm.judge.decide import read_policy
from swarm.launch.access import keys_among, unset
from swarm.launch.data import named
from swarm.launch.plan import no_trial, nothing_to_turn
from swarm.project.durations import write_duration
from swarm.project.environment import interpreter, own_environment
from swarm.researchers.registry import profile_of
from swarm.text import read_text
from swarm.views.formatting import clean, plural
from swarm.views.trial import trial_json, trial_rows

if TYPE_CHECKING:
    from swarm.launch.plan import Plan
    from swarm.project.settings import Setting

_NAMES = 10  # cells, at least, for the names of rows, so that tables below each other are aligned


def plan_json(plan: Plan) -> dict[str, object]:
    """The plan as one JSON object: its lines as people read them, the agents with their researchers, what is missing,
    and the values of the trial run, where there was one."""
    return {
        "tag": plan.tag,
        "researchers": dict(plan.researchers),
        "folder": str(plan.folder),
        "plan": _rows(plan),
        "missing": list(plan.missing),
        "trial": trial_json(plan.trial) if plan.trial else None,
    }


def describe(plan: Plan) -> RenderableType:
    """The plan in a few lines, with its trial where that is known."""
    parts: list[RenderableType] = [_table(_rows(plan))]
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


def _origin_of(setting: Setting) -> tuple[str, str]:
    value = place(setting.value) if setting.name == "notify" and setting.value else setting.text
    return setting.name, f"{value} ({setting.origin})"


def _rows(plan: Plan) -> dict[str, str]:
    config, project = plan.config, plan.project
    return {
        **({"project": f"{project.prefix.rstrip('/')}, a part of its repository"} if project.prefix else {}),
        "swarm": f"{plan.tag}" + (" (resumed)" if config.resume else ""),
        "researcher": _researcher(plan),
        **_roles(plan),
        "agents": f"{len(plan.slots)} on {plan.device}: {_names(list(plan.slots))}{_hosts(plan)}",
        "branches": f"autoresearch/{plan.tag} and autoresearch/{plan.tag}-gpu<k>, from {plan.base_commit[:7]}",
        "runs": f"{_command(plan)}{_origin(plan, 'command')}",
        "edits": f"{', '.join(project.editable)}; {_program(plan)}",
        "fixed": f"{_few(project.fixed) or 'nothing'}{_origin(plan, 'fixed')}",
        **({"missing": "; ".join(plan.gaps)} if plan.gaps else {}),
        "metric": f"{project.metric}{_origin(plan, 'metric')}, {project.direction} is better; {_referee(plan)}",
        **_knobs(plan),
        "guards": ", ".join(f"{name} {bound}" for name, bound in project.guards.items()) or "none",
        **_access(plan),
        "sandbox": _sandbox(plan),
        "trial": _trial(plan),
        "seed": plan.seed,
        "budget": plan.unread or f"{plan.budget:g} s of training per run{_budget_origin(plan)}",
        "timeout": _timeout(plan),
        "policy": _policy(config.policy),
        "limits": _limits(plan),
        "data": "not prepared" if plan.missing else named(plan.data) or "whatever the project brings",
        "files": str(plan.folder.relative_to(plan.root)),
    }


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


def _knobs(plan: Plan) -> dict[str, str]:
    """How many numbers and choices the sweep found, and where, if it takes part."""
    if "sweep" not in plan.researchers.values():
        return {}
    places = sorted(plan.knobs.items(), key=lambda place: -place[1])
    named = [f"{path} {number}" for path, number in places[:4]]
    more = [f"{len(places) - 4} more"] if len(places) > 4 else []
    if plan.idle:
        return {"knobs": f"none: {nothing_to_turn(plan.project)}"}
    if not places:
        return {"knobs": "none: the sweep's agents have no number to turn, only other changes to try"}
    number = sum(plan.knobs.values())
    found = f"{number} numbers and choices" if number > 1 else "1 number or choice"
    where = places[0][0] if len(places) == 1 else f"{len(places)} files: {', '.join([*named, *more])}"
    return {"knobs": f"{found} in {where}"}


def _command(plan: Plan) -> str:
    """As it is typed, with the repository's own interpreter where that is the one."""
    own = own_environment(plan.root)
    python = interpreter(plan.root) if own else "python"
    inside = python.removeprefix(f"{plan.root}/")
    return " ".join(plan.project.command).replace("{python}", inside).replace("{venv}", str(own))


def _access(plan: Plan) -> dict[str, str]:
    """What runs get beyond the commit, and what they will miss."""
    project, included, missing_here = plan.project, plan.included, set(unset(plan.project))
    own = own_environment(plan.root)
    passed = [f"{name} (NOT SET in this shell)" if name in missing_here else name for name in project.pass_env]
    keys = keys_among(project)
    committed = [f"{pattern} is in the commit already, which every run has" for pattern in included.committed]
    brought = f"{', '.join(link.path for link in included.links[:4])}{' and more' * (len(included.links) > 4)}"
    size = f"{plural(len(included.files), 'file')}, {included.size / 1e6:,.0f} MB, to be read only, {included.key}"
    rows = {
        "environment": str(own) if own else "",
        "included": "; ".join([f"{brought} ({size})"] * bool(included.links) + committed),
        "readable": ", ".join(project.readable) + (f"; KEYS LIE IN {', '.join(keys)}" if keys else ""),
        "passed": f"EDITED CODE CAN READ THESE VARIABLES: {', '.join(passed)}" if passed else "",
        "network": "OPEN: edited code can send what it reads anywhere" if project.network else "",
        "not there": "; ".join(plan.unheld),
    }
    return {name: text for name, text in rows.items() if text}


def _sandbox(plan: Plan) -> str:
    """What keeps a training from the rest of the machine, or, plainly, that nothing does."""
    if plan.config.sandbox == "off":
        return f"off: {exposure()}"
    if why := missing():
        return f"NONE ({why}): {exposure()}"
    return protection(plan.project.network)


def _origin(plan: Plan, key: str) -> str:
    """Where a key was found that the settings do not give."""
    return f" ({plan.project.origins[key]})" if key in plan.project.origins else ""


def _timeout(plan: Plan) -> str:
    """When a run is ended whatever it does, and what that comes from."""
    project = plan.project
    if project.timeout is not None:
        return f"{write_duration(project.timeout)} for the whole of a run{_origin(plan, 'timeout')}"
    if not project.referee:
        most = write_duration(UNTOUCHED)
        return f"by what the untouched code takes, which may take {most} (`timeout` in swarm.toml says it)"
    limits = limits_for(plan.budget, plan.device.split(":")[0])
    cpu = f" or {write_duration(limits.cpu)} of CPU time" if limits.cpu else ""
    return f"{write_duration(limits.wall)}{cpu} for training, by the budget; the referee has its own"


def _policy(text: str) -> str:
    """The keep rule; where nothing is run twice, that too."""
    if not read_policy(text).noiseless:
        return text
    return f"{text}: equal code gives equal numbers, so that one run decides and only the newest state is run again"


def _budget_origin(plan: Plan) -> str:
    return _origin(plan, "budget") if plan.budget == plan.project.budget else ""


def _table(rows: Mapping[str, str], style: str = "") -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=f"bold {style}", min_width=_NAMES)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, Text(clean(text), style))  # no markup: [tool.swarm]
    return table


def _researcher(plan: Plan) -> str:
    names = list(dict.fromkeys(plan.researchers.values()))
    if len(names) == 1:
        return ": ".join(filter(None, (names[0], profile_of(names[0]).about)))
    agents_of = {name: [agent for agent, own in plan.researchers.items() if own == name] for name in names}
    return "; ".join(f"{name} for {_names(agents)}" for name, agents in agents_of.items())


def _roles(plan: Plan) -> dict[str, str]:
    """Which sections of the program are for whom, so that a misspelt name is seen."""
    path = plan.root / plan.project.program
    found = roles(read_text(path.read_bytes()).text) if path.is_file() else ()
    readers = []
    for role in found:
        agents = [agent for agent, researcher in plan.researchers.items() if role.is_for(agent, researcher)]
        readers.append(f"{role.subject or 'a section of its own'} for {_names(agents) or f'nobody: no {role.called}'}")
    return {"roles": "; ".join(readers)} if readers else {}


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{names[0]} to {names[-1]}"


def _few(paths: Sequence[str]) -> str:
    return ", ".join(paths) if len(paths) <= 4 else f"{', '.join(paths[:3])} and {len(paths) - 3} more"


def _hosts(plan: Plan) -> str:
    there = ", ".join(f"{count} on {host}" for host, count in plan.hosts.items())
    return f"; there now: {there}" if there else ""


def _referee(plan: Plan) -> str:
    if not plan.project.referee:
        return "as printed by the run (unaudited)"
    hidden = "; confirmations and the closing wave on a hidden split too" if plan.project.hidden else ""
    return f"measured by the referee{hidden}"


def _limits(plan: Plan) -> str:
    config = plan.config
    parts = [
        f"{config.hours:g} h" if config.hours else "",
        f"{config.max_experiments} experiments" if config.max_experiments else "",
    ]
    return ", ".join(filter(None, parts)) or "none: it runs until Ctrl-C (once drains, twice stops)"
