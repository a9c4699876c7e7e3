"""The recipes of a justfile or Makefile and the scripts of package.json: commands that people gave a name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm.project.commands import SETTING_UP
from swarm.project.reading import text_of

MEASURES = re.compile(
    r"(?:auto)?research|experiment|bench(?:mark)?|eval(?:uate)?|score|measure|backtest|train", re.IGNORECASE
)
_MAKE = re.compile(r"^([A-Za-z][\w-]*)[ \t]*:(?![=:])[^\n]*\n((?:\t[^\n]*\n?)*)", re.MULTILINE)
_JUST = re.compile(r"^@?([A-Za-z_][\w-]*)[ \t]*:(?!=)[^\n]*\n((?:[ \t]+[^\n]*\n?)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named command: how it is called, what it runs, and the file that holds it."""

    name: str
    command: tuple[str, ...]
    body: str
    path: str


def measuring_recipes(root: Path) -> list[Recipe]:
    """The recipes whose name says that they measure something."""
    named = (recipe for recipe in _recipes(root) if MEASURES.match(recipe.name))
    return [recipe for recipe in named if not SETTING_UP.search(recipe.name)]


def line_of_just(root: Path, name: str) -> str | None:
    """The command of a recipe that just is not needed for: one plain line, which no setting and nothing before it
    prepares."""
    text = text_of(root / "justfile") or text_of(root / "Justfile")
    recipe = re.search(rf"^@?{re.escape(name)}[ \t]*:[ \t]*(?:#.*)?\n((?:[ \t]+.*\n?)+)", text, re.MULTILINE)
    lines = recipe[1].strip().splitlines() if recipe else []
    if len(lines) != 1 or re.search(r"^(?:set|export|import|mod)\b", text, re.MULTILINE):
        return None
    line = lines[0].removeprefix("@")
    return None if line.startswith(("#!", "-")) or "{{" in line else line


def _recipes(root: Path) -> Iterator[Recipe]:
    for path, tool, pattern in (("justfile", "just", _JUST), ("Justfile", "just", _JUST), ("Makefile", "make", _MAKE)):
        for name, body in pattern.findall(text_of(root / path)):
            yield Recipe(name, (tool, name) if tool == "just" else (tool, "-s", name), body, path)
    try:
        package = json.loads(text_of(root / "package.json") or "{}")
    except (ValueError, RecursionError):
        return
    scripts = package.get("scripts") if isinstance(package, dict) else None
    for name, body in scripts.items() if isinstance(scripts, dict) else ():
        if isinstance(body, str):
            yield Recipe(name, ("npm", "run", "-s", name), body, "package.json")
