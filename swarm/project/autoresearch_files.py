"""The layout of pi-autoresearch: autoresearch.sh measures, autoresearch.md says what and where, autoresearch.jsonl
begins each segment with the metric, autoresearch.checks.sh must pass, autoresearch.config.json may name a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.project.directions import HIGHER, LOWER
from swarm.project.reading import inside, text_of

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


def segment_of(root: Path) -> Segment | None:
    """What the last line of autoresearch.jsonl that begins a segment says; None where there is none."""
    last = None
    for row in _rows(text_of(root / JOURNAL)):
        if row.get("type") == "config" and isinstance(row.get("metricName"), str) and row["metricName"]:
            direction = row.get("bestDirection")
            last = Segment(row["metricName"], direction if direction in (LOWER, HIGHER) else None)
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
