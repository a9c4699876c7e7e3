"""`make wild`: every repository here, looked at and researched as a user would; prints what was found and what came."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from swarm.project.project import Project
from tests.wild.repositories import NAMES, Wild, copied, wrong_about, wrong_results


def main() -> int:
    table = Table("repository", "detected", "asked", "swarm.toml", "result", title="fifteen repositories as they are")
    unaided = right = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            asked, result = researched(wild := copied(name, Path(folder)), Path(folder))
            unaided += not asked and result == "right"
            right += result == "right"
            table.add_row(name, detected(wild), asked or "–", f"{len(wild.settings.splitlines())} lines", result)
    Console(width=150).print(table)
    print(f"{unaided} of {len(NAMES)} without a swarm.toml, {right} right in all")
    return 0 if right == len(NAMES) else 1


def detected(wild: Wild) -> str:
    found = wild.found()
    if not isinstance(found, Project):
        return "–"
    wrong = wrong_about(wild, found)
    said = f"{' '.join(found.command)}; {found.metric}, {found.direction}; edits {', '.join(found.editable)}"
    return said + "".join(f"; WRONG {key}: {seen!r}" for key, (seen, _) in wrong.items())


def researched(wild: Wild, folder: Path) -> tuple[str, str]:
    """What was asked, and how three experiments ended."""
    if wild.missing:
        return "", f"not tried: {wild.missing} is not installed"
    asked, done = "", wild.launch(folder)
    if done.returncode == 2:
        asked = done.stderr.strip().splitlines()[-1]  # below the log of the run that failed
        wild.settle()
        done = wild.launch(folder)
    if done.returncode != 0:
        return asked, done.stderr.strip().splitlines()[-1]
    return asked, "; ".join(wrong_results(wild)) or "right"


if __name__ == "__main__":
    sys.exit(main())
