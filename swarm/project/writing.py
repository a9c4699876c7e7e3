"""Writes a project down: the swarm.toml that says what was found, and a program.md for whoever has the ideas."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence

from swarm.project.found import Found
from swarm.project.keys import KEYS
from swarm.project.project import Project
from swarm.text import one_line, printable

_OFFERED = ("guards", "checks", "include", "readable", "pass_env", "network", "timeout", "result", "pattern")
_WIDTH = 100


def settings_text(said: Mapping[str, Found]) -> str:
    """A swarm.toml with a comment for each key: what is said, where it was found, and what else could be said."""
    blocks = ["# What is researched here, for `python -m swarm launch`. docs: any-repository.md"]
    for name in (key for key in KEYS if key in said):
        found = said[name]
        blocks.append(f"{_comment(f'{KEYS[name].says} ({found.origin})')}\n{name} = {toml(found.value)}")
    rest = [f"{_comment(KEYS[name].says)}\n# {name} = {KEYS[name].example}" for name in _OFFERED if name not in said]
    return "\n\n".join([*blocks, "# What may be said as well:", *rest]) + "\n"


def toml(value: object) -> str:
    """A value of a project as TOML writes it; texts as in JSON, whose escapes TOML has too."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int():
            return str(value)
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case Mapping():
            inner = ", ".join(f"{toml(str(key))} = {toml(item)}" for key, item in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case Sequence():
            return f"[{', '.join(map(toml, value))}]"
    raise TypeError(f"{value!r} is no value of a project")


def program_text(project: Project, seconds: float | None, printed: Sequence[str], knobs: Sequence[str]) -> str:
    """A research program for this project. `seconds` is how long a run took, `printed` what else it printed, `knobs`
    what could be tuned."""
    command = project.command_line
    better = "lower" if project.direction == "lower" else "higher"
    lasts = f" A run took {seconds:.3g} s." if seconds else ""
    others = f" It also prints {_listed(printed)}." if printed else ""
    tuned = f"- Numbers and choices to begin with: {_listed(knobs)}.\n" if knobs else ""
    checks = f"- `{'`, `'.join(project.checks)}` must pass.\n" if project.checks else ""
    fixed = f"- {_listed(project.fixed)} must not change.\n" if project.fixed else ""
    return f"""# The research program

This file is for whoever has the ideas here. It is read again before every idea: editing it steers all agents.

## Goal

Get the {"lowest" if better == "lower" else "highest"} **{project.metric}** that `{command}` can reach.{lasts}{others}

## Setting

- {_listed(project.editable)} may be edited.
{fixed}{checks}- No new dependencies, no downloads: use what is installed.

## Where to look

{tuned}- Say here what you know of this problem: what matters, what was tried, what must not be given up.

## Rules

1. One idea per experiment, with a reason: what changes, why {project.metric} should get {better}, by how much.
2. Read what was tried first. What lost in one direction may still win in the other.
3. Simpler is better at equal results. Do not leave the switch of an idea that lost in the code.
4. Make the thing better, not the number: never read held-out data, never touch how it is measured.
"""


def _comment(text: str) -> str:
    # The name of a file may hold what a comment of TOML must not.
    text = printable(one_line(text))
    return "\n".join(textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# "))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
