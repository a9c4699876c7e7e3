"""What is researched: command, editable and fixed files, metric. Read from `swarm.toml` or `[tool.swarm]`; what they
do not say is detected in the repository."""

from __future__ import annotations

import json
import os
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec

from swarm.errors import UsageError
from swarm.foreign import LARGEST, SMALLEST
from swarm.judge.guards import Guard
from swarm.named_file import read_named
from swarm.project.commands import as_argv
from swarm.project.directions import direction_of, read_direction
from swarm.project.durations import Seconds
from swarm.project.environment import interpreter, own_environment
from swarm.project.found import Question
from swarm.project.look import look
from swarm.project.patterns import Scope, rank
from swarm.project.values import pattern_fault, read_value
from swarm.text import one_line, printable, read_text

LARGEST_SETTINGS = 16 * 2**20  # bytes of a file of settings
SETTINGS_FILES = ("swarm.toml", "pyproject.toml")  # the first that says something is heeded
EXAMPLES = {"editable": ("FILE",), "command": ("{python}", "FILE")}  # answers where there is no candidate

Texts = tuple[Annotated[str, msgspec.Meta(min_length=1)], ...]


@dataclass(frozen=True, slots=True)
class Project:
    """One researchable repository. Commands are argument lists; in them `{python}` stands for the interpreter of the
    repository's own environment (or else the running one), `{venv}` for the folder of that environment, and `{repo}`
    for the user's checkout, of which a sandboxed run sees what a command names so.

    `command` trains once and prints the summary block; `referee`, where there is one, measures the saved model in
    a process of its own, which with `referee_waits` starts together with the training, to be warm, and measures after a
    line "go" on its stdin; `hidden` measures the model of confirmations and closing runs once more, on a second split,
    and writes `referee-test.json`; `held_out` are patterns of files below the cache that a sandboxed training must not
    see; `data` prints what data is prepared as one JSON object and exits 2 where it is not, and
    `prepare` is what a person types to prepare it. `sigma` holds the expected noise of the metric by device, the
    prior of the judge; a device that is not named there starts without one. `outlier_gain` holds by device, in units of
    the metric, what a single step may gain without being measured once more: the judge asks for that beyond ten sigmas,
    and beyond this. `guards` are bounds on other printed
    numbers (swarm/judge/guards.py).

    The metric is read from the log, or from the file `result` that the run writes, or as the one group of `pattern`.
    `checks` are commands that must exit with 0 after a measurement that would be kept. `timeout` ends a run, whatever
    it does; without it the limits come from the budget. A run sees the files of its commit; `include` are ignored or
    untracked paths of the repository that it sees too, `readable` folders outside of it that the sandbox leaves open,
    `pass_env` variables that it gets beside the usual ones, and `network` opens the network. `origins` says of each key
    that is not given where it was found.
    """

    command: Texts
    editable: Texts
    fixed: Texts = ()
    referee: Texts = ()
    referee_waits: bool = False
    hidden: Texts = ()
    held_out: Texts = ()
    data: Texts = ()
    prepare: str = ""
    program: str = "program.md"
    metric: str = "val_bpb"
    direction: str = "lower"
    budget: Seconds = 300.0
    sigma: Mapping[str, float] = field(default_factory=dict)
    outlier_gain: Mapping[str, float] = field(default_factory=dict)
    guards: Mapping[str, str] = field(default_factory=dict)
    result: str = ""
    pattern: str = ""
    checks: Texts = ()
    timeout: Seconds | None = None
    include: Texts = ()
    readable: Texts = ()
    pass_env: Texts = ()
    network: bool = False
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    prefix: str = ""  # the project's folder in its repository, as "research/vision/"; no key: the launch finds it

    @property
    def sign(self) -> int:
        """+1 where lower is better, -1 where higher is: `sign * metric` is always to be minimised."""
        return 1 if self.direction == "lower" else -1

    @property
    def command_line(self) -> str:
        """The command as people type it."""
        return " ".join(self.command).replace("{python}", "python")

    def may_edit(self, path: str) -> bool:
        """Whether an edit may change the file, or make it."""
        return path in self.editable or Scope(self.editable, self.fixed).may_edit(path)

    def is_fixed(self, path: str) -> bool:
        return rank(path, self.fixed) >= 0

    def argv(self, command: tuple[str, ...], root: Path | None = None) -> list[str]:
        """The command as it is started, for the checkout at `root`, where there is one on this machine."""
        own = own_environment(root) if root else None
        stands_for = {"{python}": interpreter(root), "{venv}": str(own or ""), "{repo}": str(root or "")}
        return [_replaced(part, stands_for) for part in command]


def _replaced(part: str, stands_for: Mapping[str, str]) -> str:
    for name, value in stands_for.items():
        part = part.replace(name, value)
    return part


def load_project(root: Path) -> Project:
    """The project at `root`: what its swarm.toml or pyproject.toml says, the rest as the repository shows it.

    UsageError where the settings make no sense, or where neither they nor the code say what to research.
    """
    name = settings_file(root)
    return project_from(_table(root / name) if name else {}, name or "the repository", root)


def settings_file(root: Path) -> str:
    """The file that says what the project is: swarm.toml or pyproject.toml; "" where neither does."""
    return next((name for name in SETTINGS_FILES if _table(root / name)), "")


def read_answer(key: str, text: str) -> Any:
    """The value of a key as a person typed it: a list is separated by commas. UsageError where it is none."""
    if key == "command":
        return as_argv(text, key)
    if key == "direction":
        if direction := read_direction(text):
            return direction
        raise UsageError("direction is lower (minimize) or higher (maximize)")
    hint = _hints()[key]
    listed = tuple(part.strip() for part in text.split(",") if part.strip())
    return listed if hint == Texts else read_value(text, hint, key, from_text=True)


def load_settings(root: Path) -> dict[str, Any]:
    """The keys of [tool.swarm] that are settings of a launch (settings.py), not part of the project."""
    known = set(_hints())
    table = _table(root / "swarm.toml") or _table(root / "pyproject.toml")
    return {key: value for key, value in table.items() if key not in known}


def _table(path: Path) -> dict[str, Any]:
    if not os.path.lexists(path):
        return {}
    try:
        parsed = tomllib.loads(read_text(read_named(path, LARGEST_SETTINGS, path.name)).text)
    except (ValueError, RecursionError) as error:
        raise UsageError(one_line(printable(f"{path.name} does not parse: {error}"))) from error
    if path.name == "swarm.toml":
        return parsed
    tool = parsed.get("tool", {})
    table = tool.get("swarm", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path.name}: tool.swarm must be a table")
    return table


def keys_given(root: Path) -> set[str]:
    """The keys of the project that its settings file says."""
    table = _table(root / "swarm.toml") or _table(root / "pyproject.toml")
    return {*table} & {*_hints()}


def project_keys() -> set[str]:
    """The keys of a project, whether or not they are given."""
    return set(_hints())


def _hints() -> dict[str, Any]:
    """The keys that a person may give, with their types."""
    return {
        name: hint
        for name, hint in typing.get_type_hints(Project, include_extras=True).items()
        if name not in ("origins", "prefix")
    }


def project_from(table: Mapping[str, Any], name: str, root: Path) -> Project:
    """The project that settings called `name` describe, the rest as the repository at `root` shows it; UsageError as
    from load_project."""
    hints = _hints()
    values = {key: _value(value, hints[key], f"{name}: {key}") for key, value in table.items() if key in hints}
    seen = look(root, values)
    values |= {key: item.value for key, item in seen.found.items()}
    values["origins"] = {key: item.origin for key, item in seen.found.items()}
    empty = [key for key in ("command", "editable") if values.get(key) == ()]
    if empty:
        raise UsageError(f"{name} must say {' and '.join(empty)}")
    values = {"command": (), "editable": (), **values}
    project = Project(**values)
    _check(project, name)
    if seen.questions:
        raise UsageError(asking(seen.questions[0], name if table else ""))
    return project


def _value(value: Any, hint: Any, name: str) -> Any:
    """A command may be one text, as it is typed, and a direction any word for it."""
    if name.endswith(": command") and isinstance(value, str):
        return as_argv(value, name)
    if name.endswith(": direction"):
        value = read_direction(value) or value
    return read_value(value, hint, name)


def _check(project: Project, name: str) -> None:
    """UsageError where the values make no sense."""
    if project.direction not in ("lower", "higher"):
        raise UsageError(
            f'{name}: direction must be "lower" (minimize) or "higher" (maximize), not {project.direction!r}'
        )
    if not all(
        SMALLEST <= number <= LARGEST
        for number in (project.budget, project.timeout or 1.0, *project.sigma.values(), *project.outlier_gain.values())
    ):
        raise UsageError(f"{name}: budget, timeout, sigma and outlier_gain must be above 0, and below {LARGEST:g}")
    for guarded, bound in project.guards.items():
        try:
            Guard.parse(guarded, bound)
        except ValueError as error:
            raise UsageError(one_line(f"{name}: {error}")) from error
    if project.pattern and (wrong := pattern_fault(project.pattern)):
        raise UsageError(one_line(f"{name}: pattern {wrong}"))
    if project.pattern and project.result:
        raise UsageError(f"{name}: pattern reads the log and result a file: give one of them")
    if PurePosixPath(project.result).is_absolute() or ".." in PurePosixPath(project.result).parts:
        raise UsageError(f"{name}: result must be a file below the project's folder, not {project.result}")
    both = sorted({*project.editable} & {*project.fixed})
    if both:
        raise UsageError(f"{name}: {both[0]} is both editable and fixed")


def asking(question: Question, name: str) -> str:
    """A question as one line, with the line for swarm.toml that answers it. `name` is the file of settings, if any."""
    place = name or "a swarm.toml or [tool.swarm] of pyproject.toml"
    options = [item.value if isinstance(item.value, str) else _listed(item.value) for item in question.candidates]
    choices = f" ({' or '.join(options[:6])})" if len(options) > 1 and question.key != "direction" else ""
    return one_line(
        f"{question.text}{choices}: say {answer_line(question)} in {place}, or run `python -m swarm init`, which asks"
    )


def answer_line(question: Question) -> str:
    """What answers a question in a swarm.toml: with its best candidate, or with an example."""
    best = question.candidates[0].value if question.candidates else None
    if question.key == "direction":
        return 'direction = "lower" or "higher"'
    if question.key == "metric":
        known = isinstance(best, str) and direction_of(best)
        return f"metric = {json.dumps(best or 'NAME')}" + ("" if known else ' and direction = "lower" or "higher"')
    return f"{question.key} = {_listed(best or EXAMPLES[question.key])}"


def _listed(values: tuple[str, ...]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
