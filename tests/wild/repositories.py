"""Fifteen small repositories in the shapes that people's own have. Each folder here holds one:

repository/     its files, as they are in git (`gitignore` becomes `.gitignore`)
untracked/      files beside them that git ignores
expected.toml   what must be found in it, the lines that a swarm.toml needs, and three ideas with what comes of them
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.errors import UsageError
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.project.project import Project, load_project

HERE = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/expected.toml"))
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@dataclass(frozen=True)
class Wild:
    """One of the repositories, copied out and committed in a folder of its own; `root` is what is researched."""

    name: str
    expected: Mapping[str, Any]
    root: Path

    @property
    def missing(self) -> str:
        """The first tool that it needs and this machine lacks; "" where none is."""
        return next((tool for tool in self.expected.get("needs", ()) if not shutil.which(tool)), "")

    @property
    def settings(self) -> str:
        return self.expected.get("settings", "")

    def found(self) -> Project | str:
        """What is detected, or the one line that asks."""
        try:
            return load_project(self.root)
        except UsageError as error:
            return str(error)

    def launch(self, folder: Path, ray: str = "") -> subprocess.CompletedProcess[str]:
        """A swarm of the three ideas, as a user starts it; on a simulated GPU where it joins the Ray at an address. The
        better one comes last: all are written against the untouched code."""
        ideas = sorted(self.expected["ideas"], key=lambda idea: "better" in idea)
        steps = [{key: idea[key] for key in ("title", "path", "replace")} for idea in ideas]
        script = folder / f"{self.name}.json"
        script.write_text(json.dumps({"steps": steps}))
        words = ["--tag", "apr5", "--agents", "1", "--max-experiments", "3"]
        words += ["--researcher", "scripted", "--script", str(script), *(["--device", "sim"] if ray else [])]
        return subprocess.run(
            [sys.executable, "-m", "swarm", "launch", "-C", str(self.root), *words],
            env={**ENVIRONMENT, **({"RAY_ADDRESS": ray} if ray else {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def settle(self) -> None:
        """Writes the lines of swarm.toml that it needs, as the message asks."""
        if self.settings:
            (self.root / "swarm.toml").write_text(self.settings + "\n")

    def experiments(self) -> dict[str, dict[str, Any]]:
        """The judged experiments by title, with the value of the first run of each."""
        query = (
            "SELECT e.title, e.baseline, e.status, e.reason, (SELECT value FROM runs WHERE experiment = e.id"
            " AND value IS NOT NULL ORDER BY id LIMIT 1) AS value FROM experiments e WHERE e.state = 'judged'"
        )
        with contextlib.closing(Ledger(ledger_path(self.root))) as ledger:
            rows = [dict(row) for row in ledger.rows(query)]
        return {"baseline" if row["baseline"] else row["title"]: row for row in rows}


def copied(name: str, folder: Path) -> Wild:
    """A repository of that name in `folder`, with one commit."""
    expected = tomllib.loads((HERE / name / "expected.toml").read_text())
    root = folder / name
    shutil.copytree(HERE / name / "repository", root, ignore=shutil.ignore_patterns("__pycache__"))
    for path in root.rglob("gitignore"):
        path.rename(path.with_name(".gitignore"))
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false", *words]
        subprocess.run(git, cwd=root, check=True)
    if (HERE / name / "untracked").is_dir():
        shutil.copytree(HERE / name / "untracked", root, dirs_exist_ok=True)
    return Wild(name, expected, root / expected.get("folder", ""))


def wrong_about(wild: Wild, project: Project) -> dict[str, tuple[Any, Any]]:
    """What was detected otherwise than it is, as key: (detected, expected)."""
    expected = wild.expected["found"]
    seen = {
        "metric": project.metric,
        "direction": project.direction,
        "editable": sorted(project.editable),
        "command": [{"{python}": "python", "python3": "python"}.get(word, word) for word in project.command],
        "checks": list(project.checks),
    }
    wanted = {key: sorted(value) if key == "editable" else value for key, value in expected.items()}
    wrong = {key: (value, wanted[key]) for key, value in seen.items() if key in wanted and value != wanted[key]}
    free = [path for path in expected.get("fixed", ()) if not _covered(path, project.fixed)]
    return wrong | ({"fixed": (project.fixed, free)} if free else {})


def _covered(path: str, patterns: tuple[str, ...]) -> bool:
    return any(pattern == path or pattern.startswith(f"{path}/") for pattern in patterns)


def wrong_results(wild: Wild) -> list[str]:
    """What came out of the three ideas otherwise than it had to, in a line each."""
    rows, wrong = wild.experiments(), []
    wanted = {"baseline": {"better": wild.expected["found"]["baseline"]}} | {
        idea["title"]: idea for idea in wild.expected["ideas"]
    }
    for title, idea in wanted.items():
        row = rows.get(title)
        if row is None:
            wrong.append(f"{title}: never judged")
            continue
        kept = row["status"] == "keep" or title == "baseline"
        if kept != ("better" in idea):
            wrong.append(f"{title}: {row['status']} ({row['reason']})")
        if "better" in idea and (row["value"] is None or abs(row["value"] / idea["better"] - 1) > 1e-3):
            wrong.append(f"{title}: measured {row['value']}, which is {idea['better']}")
        if ("crash" in idea) != (row["status"] == "crash"):
            wrong.append(f"{title}: {row['status']} ({row['reason']})")
        if "guarded" in idea and not row["reason"].startswith("guard"):
            wrong.append(f"{title}: refused for another reason than its guard: {row['reason']}")
    return wrong
