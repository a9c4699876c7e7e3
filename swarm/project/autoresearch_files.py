"""The layout of pi-autoresearch: autoresearch.sh measures, autoresearch.md says what and where, autoresearch.jsonl
begins each segment with the metric, autoresearch.checks.sh must pass, autoresearch.config.json may name a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.project.directions import read_direction
from swarm.project.reading import inside, text_of
from swarm.project.scope import scope_of

SCRIPT, NOTES, CHECKS = "autoresearch.sh", "autoresearch.md", "autoresearch.checks.sh"
JOURNAL, CONFIG = "autoresearch.jsonl", "autoresearch.config.json"
FILES = {
    SCRIPT,
    NOTES,
    CHECKS,
    JOURNAL,
    CONFIG,
    "autoresearch.ideas.md",
    "autoresearch-dashboard.md",
    "autoresearch.hooks",
}

_INTERPRETER = re.compile(r"#!\s*(?:/usr/bin/env\s+(?:-S\s+)?)?(\S+)")
_TRIED = r"(?:PREDICTOR|CANDIDATE|SUBMISSION|SOLUTION|EDITABLE|MUTABLE|STRATEGY|WARRIOR|CONTESTANT)"
_CANDIDATE = re.compile(  # a variable or an option that holds the path of what is tried
    rf"""^[ \t]*(?:export[ \t]+)?(?:[A-Z_]+_)?{_TRIED}(?:_[A-Z_]+)?=["']?(?:\$\{{\w+:?[-=])?([\w./+-]+\.\w+)"""
    rf"""|--{_TRIED.lower()}(?:-path|-file)?[ =]["']?([\w./+-]+\.\w+)""",
    re.MULTILINE,
)
_WITH_SCRIPT = re.compile(r"^(?P<set>(?:\w+=\S+\s+)*)(?:bash\s+|sh\s+)?(?:\./)?autoresearch\.sh(?P<rest>[^\n`]*)$")


@dataclass(frozen=True, slots=True)
class Segment:
    """The metric of the newest segment of autoresearch.jsonl."""

    metric: str
    direction: str | None


def script_command(root: Path, name: str = SCRIPT) -> tuple[str, ...]:
    """How the script is run: by what its first line names, if that is a Python, else by bash."""
    first = _INTERPRETER.match(text_of(root / name))
    return ("{python}" if first and "python" in first[1] else "bash", name)


def ways_to_run(notes: str) -> list[str]:
    """The lines in autoresearch.md that run the script, with their variables and arguments; the usual one first."""
    lines = [line.strip().removeprefix("$ ") for line in (*notes.splitlines(), *re.findall(r"`([^`\n]+)`", notes))]
    found = (_WITH_SCRIPT.match(line) for line in lines)
    return list(dict.fromkeys(match["set"] + SCRIPT + match["rest"].rstrip() for match in found if match))


def candidates_in(root: Path) -> list[str]:
    """The files that the script itself calls what is tried: as `CANDIDATE_PATH="${CANDIDATE_PATH:-a/b.py}"`, or
    `--predictor a/b.py`, and those that its comments allow to edit."""
    text = text_of(root / SCRIPT)
    comments = "\n".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("# "))
    paths = [*scope_of(comments).editable, *("".join(pair) for pair in _CANDIDATE.findall(text))]
    return [path for path in dict.fromkeys(paths) if inside(root, root / path) == path and (root / path).is_file()]


def segment_of(root: Path) -> Segment | None:
    """What the last line of autoresearch.jsonl that begins a segment says; None where there is none."""
    last = None
    for row in _rows(text_of(root / JOURNAL)):
        if row.get("type") == "config" and isinstance(row.get("metricName"), str) and row["metricName"]:
            last = Segment(row["metricName"], read_direction(row.get("bestDirection") or row.get("direction")))
    return last


def working_folder(root: Path) -> str | None:
    """Another folder of the repository in which the sessions take place; None where it is this one.

    A folder of another machine says nothing here.
    """
    try:
        config = json.loads(text_of(root / CONFIG) or "{}")
    except (ValueError, RecursionError):
        return None
    named = config.get("workingDir") if isinstance(config, dict) else None
    if not isinstance(named, str) or not named or "\0" in named:
        return None
    found = inside(root, root / named)
    return found if found not in (None, ".") and (root / named).is_dir() else None


def _rows(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if '"config"' not in line:
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row
