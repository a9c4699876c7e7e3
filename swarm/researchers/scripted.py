"""A researcher that follows a script: for tests, demonstrations and benchmarks.

The script is a JSON or TOML file with a list of `steps`:

    {"steps": [
      {"title": "depth 3 -> 2", "rationale": "more steps", "category": "depth", "knobs": {"depth": 2}},
      {"title": "warmer", "agent": "gpu1", "path": "trainer/train.py", "replace": ["lr = 1", "lr = 2"], "think": 3}
    ]}

A step edits by `replace` (old text, new text) in `path`, or, without it, by setting its `knobs`. `repair` is a second
replacement, tried after a crash. `agent` reserves a step for one agent; the others go to whoever comes first.
"""

from __future__ import annotations

import asyncio
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm import foreign
from swarm.errors import UsageError
from swarm.named_file import read_named
from swarm.records import Briefing, Edit, Idea, Run
from swarm.researchers.options import Option
from swarm.researchers.protocol import Exhausted, Profile
from swarm.researchers.sweep.knob_space import open_knob_space
from swarm.researchers.sweep.knobs import Value
from swarm.text import one_line, printable, read_text

LARGEST = 16 * 2**20  # bytes of a script

SCRIPT = Option("script", "", "its file, JSON or TOML")
THINK = Option("think", 0.0, "how many seconds it takes to think of each step", zero=True, time=True)

Replacement = tuple[str, str]

_KEYS = {"title", "rationale", "category", "knobs", "agent", "path", "replace", "repair", "think"}


@dataclass(frozen=True, slots=True)
class Step:
    """One idea of the script and how to edit it. `think` is in seconds."""

    title: str
    rationale: str = ""
    category: str = "other"
    knobs: Mapping[str, Value] = field(default_factory=dict)
    agent: str = ""
    path: str = ""
    replace: Replacement | None = None
    repair: Replacement | None = None
    think: float | None = None


class Scripted:
    """Proposes the steps of the script in order, each once, `think` seconds before each.

    A step that the board knows already (by title, as a finding or a live idea) is passed over, so agents share a
    script and a resumed swarm goes on where it stopped. UsageError for a script that cannot be followed.
    """

    profile = Profile(options=(SCRIPT, THINK))

    def __init__(self, agent: str, seed: int, options: Mapping[str, str]) -> None:
        self._agent = agent
        self._think = THINK.read(options)
        self._steps = [s for s in load_script(SCRIPT.read(options)) if s.agent in ("", agent)]
        self._proposed: set[str] = set()

    async def propose(self, briefing: Briefing) -> Idea:
        known = self._proposed | {f.title for f in briefing.findings} | {idea.title for _, idea in briefing.live}
        step = next((s for s in self._steps if s.title not in known), None)
        if step is None:
            raise Exhausted(f"the script has no more steps for {self._agent}")
        self._proposed.add(step.title)
        await asyncio.sleep(self._think if step.think is None else step.think)
        return Idea(step.title, step.rationale, step.category, step.knobs)

    async def edit(self, idea: Idea, briefing: Briefing, folder: Path) -> Edit:
        """The step's edit; an empty one where the text to replace is not there."""
        step = next((s for s in self._steps if s.title == idea.title), Step(idea.title, knobs=idea.knobs))
        if step.replace is not None:
            return _replaced(briefing.parent.files, step.path, step.replace)
        space = open_knob_space(briefing.parent, briefing.device)
        known = space is not None and idea.knobs and idea.knobs.keys() <= space.knobs.keys()
        return space.set(idea.knobs) if space and known else Edit({})

    async def repair(self, idea: Idea, edit: Edit, run: Run, briefing: Briefing, folder: Path) -> Edit | None:
        step = next((s for s in self._steps if s.title == idea.title), None)
        if step is None or step.repair is None:
            return None
        return _replaced(edit.files, step.path, step.repair)


def load_script(path: str) -> tuple[Step, ...]:
    """The steps of the script at `path`; UsageError that names the mistake."""
    if not path:
        raise UsageError("the scripted researcher needs a script: give the option script=PATH of a JSON or TOML file")
    file = Path(path)
    text = read_text(read_named(file, LARGEST, f"the script {path}")).text
    try:
        script = tomllib.loads(text) if file.suffix == ".toml" else foreign.parse(text)
    except (ValueError, RecursionError) as error:  # both parsers' errors are ValueErrors
        raise UsageError(one_line(printable(f"the script {path} does not parse: {error}"))) from error
    steps = script.get("steps") if isinstance(script, dict) else script
    if not isinstance(steps, list):
        raise UsageError(f"the script {path} must hold a list of steps")
    return tuple(_step(raw, f"step {number} of {path}") for number, raw in enumerate(steps, 1))


def _step(raw: Any, name: str) -> Step:
    if not isinstance(raw, dict) or not isinstance(raw.get("title"), str) or not raw["title"]:
        raise UsageError(f"{name} must be a table with a title")
    if unknown := raw.keys() - _KEYS:
        raise UsageError(
            f"{name} has the unknown keys {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KEYS))}"
        )
    if not isinstance(raw.get("knobs", {}), dict):
        raise UsageError(f"{name}: knobs must be a table of name and value")
    if "replace" not in raw and not raw.get("knobs"):
        raise UsageError(f"{name} must say what to edit: replace = [old, new] with a path, or knobs")
    pairs = {key: _replacement(raw[key], f"{name}: {key}") for key in ("replace", "repair") if key in raw}
    if pairs and not raw.get("path"):
        raise UsageError(f"{name} must say in which path to replace")
    think = {"think": _seconds(raw["think"], f"{name}: think")} if "think" in raw else {}
    return Step(**{**raw, **pairs, **think})


def _replacement(raw: Any, name: str) -> Replacement:
    match raw:
        case [str() as old, str() as new] if old and old != new:
            return old, new
    raise UsageError(f"{name} must be [old text, new text]")


def _seconds(raw: Any, name: str) -> float:
    try:
        seconds = float(raw)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{name} must be a number of seconds, not {raw!r}")
    return seconds


def _replaced(files: Mapping[str, bytes], path: str, replacement: Replacement) -> Edit:
    old, new = replacement
    form = read_text(files.get(path, b""))
    return Edit({path: form.encode(form.text.replace(old, new, 1))}) if old in form.text else Edit({})
