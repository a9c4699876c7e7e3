"""What is researched: command, editable and fixed files, metric. Read from `[tool.swarm]` or `swarm.toml`."""

from __future__ import annotations

import math
import sys
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from swarm.errors import UsageError


@dataclass(frozen=True, slots=True)
class Project:
    """One researchable repository. Commands are argument lists; `{python}` stands for the running interpreter.

    `command` trains once and prints the summary block; `referee`, where there is one, measures the saved model in
    a process of its own, which with `referee_waits` starts together with the training, to be warm, and measures after a
    line "go" on its stdin; `data` prints what data is prepared as one JSON object and exits 2 where it is not, and
    `prepare` is what a person types to prepare it. `sigma` holds the expected noise of the metric by device, the
    prior of the judge; a device that is not named there starts without one.
    """

    command: tuple[str, ...]
    editable: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    referee: tuple[str, ...] = ()
    referee_waits: bool = False
    data: tuple[str, ...] = ()
    prepare: str = ""
    program: str = "program.md"
    metric: str = "val_bpb"
    direction: str = "lower"
    budget: float = 300.0
    sigma: Mapping[str, float] = field(default_factory=dict)

    @property
    def sign(self) -> int:
        """+1 where lower is better, -1 where higher is: `sign * metric` is always to be minimised."""
        return 1 if self.direction == "lower" else -1

    def argv(self, command: tuple[str, ...]) -> list[str]:
        return [part.replace("{python}", sys.executable) for part in command]


def load_project(root: Path) -> Project:
    """The project at `root`, from its swarm.toml or pyproject.toml; UsageError where neither describes one."""
    for name in ("swarm.toml", "pyproject.toml"):
        table = _table(root / name)
        if table:
            return _project(table, name)
    raise UsageError(f"{root} says nowhere what to research: add a swarm.toml or [tool.swarm] in pyproject.toml")


def load_settings(root: Path) -> dict[str, Any]:
    """The keys of [tool.swarm] that are launch settings (config.py), not part of the project."""
    known = {f.name for f in fields(Project)}
    table = _table(root / "swarm.toml") or _table(root / "pyproject.toml")
    return {key: value for key, value in table.items() if key not in known}


def _table(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        parsed = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} does not parse: {error}") from error
    return parsed if path.name == "swarm.toml" else parsed.get("tool", {}).get("swarm", {})


def _project(table: Mapping[str, Any], name: str) -> Project:
    hints = typing.get_type_hints(Project)
    values = {key: _value(value, hints[key], f"{name}: {key}") for key, value in table.items() if key in hints}
    missing = [key for key in ("command", "editable") if not values.get(key)]
    if missing:
        raise UsageError(f"{name} must say {' and '.join(missing)}")
    project = Project(**values)
    if project.direction not in ("lower", "higher"):
        raise UsageError(f'{name}: direction must be "lower" or "higher", not {project.direction!r}')
    if not all(0 < number < math.inf for number in (project.budget, *project.sigma.values())):
        raise UsageError(f"{name}: budget and sigma must be above 0, and finite")
    both = sorted({*project.editable} & {*project.fixed})
    if both:
        raise UsageError(f"{name}: {both[0]} is both editable and fixed")
    return project


def _value(value: Any, hint: Any, name: str) -> Any:
    """A value from TOML as the field's type."""
    match value:
        case list() if typing.get_origin(hint) is tuple and all(isinstance(part, str) and part for part in value):
            return tuple(value)
        case dict() if typing.get_origin(hint) is Mapping:
            return {key: _value(number, float, f"{name}.{key}") for key, number in value.items()}
        case str() | bool() if hint is type(value):
            return value
        case int() | float() if hint is float and not isinstance(value, bool):
            return float(value)
    wanted = {
        str: "a text", bool: "true or false", float: "a number", tuple: "a list of texts",
        Mapping: "a table of numbers",
    }[typing.get_origin(hint) or hint]  # fmt: skip
    raise UsageError(f"{name} must be {wanted}, not {value!r}")
