"""The plan of a launch, before it starts: what will be researched, where, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.views.text import clean

if TYPE_CHECKING:
    from swarm.config import Setting
    from swarm.plan import Plan


def describe(plan: Plan, settings: Sequence[Setting] = ()) -> RenderableType:
    """The plan in a few lines; with `settings` also where every value came from."""
    config, project = plan.config, plan.project
    rows = {
        "swarm": f"{plan.tag}" + (" (resumed)" if config.resume else ""),
        "researcher": _researcher(plan),
        "agents": f"{len(plan.slots)} on {plan.device}: {_names(list(plan.slots))}",
        "branches": f"autoresearch/{plan.tag} and autoresearch/{plan.tag}-gpu<k>, from {plan.base_commit[:7]}",
        "edits": f"{', '.join(project.editable)}; {project.program} is read anew for every idea",
        "metric": f"{project.metric}, {project.direction} is better; {_referee(plan)}",
        "budget": f"{plan.budget:g} s of training per run, at most twice that; policy {config.policy}",
        "limits": _limits(plan),
        "data": _data(plan),
        "files": str(plan.folder.relative_to(plan.root)),
    }
    table = _table()
    for name, value in rows.items():
        table.add_row(name, clean(value))
    if not settings:
        return table
    origins = _table()
    for setting in settings:
        origins.add_row(setting.name, f"{setting.value if setting.value is not None else '–'}  ({setting.origin})")
    return Group(table, Text("\nwhere each setting comes from", "dim"), origins)


def _table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return table


def _researcher(plan: Plan) -> str:
    name = plan.config.researcher
    return name + (": knows a playbook, needs no key and costs nothing" if name == "sweep" else "")


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 8 else f"{names[0]} to {names[-1]}"


def _referee(plan: Plan) -> str:
    return "measured by the referee" if plan.project.referee else "as printed by the run (unaudited)"


def _data(plan: Plan) -> str:
    if "key" not in plan.data:
        return "whatever the project brings"
    name, key = plan.data.get("corpus", "corpus"), str(plan.data["key"])
    return f"{name} {key[:16]}"


def _limits(plan: Plan) -> str:
    config = plan.config
    parts = [
        f"{config.hours:g} h" if config.hours else "",
        f"{config.max_experiments} experiments" if config.max_experiments else "",
    ]
    return ", ".join(filter(None, parts)) or "none: it runs until Ctrl-C (once drains, twice stops)"
