"""Small repositories of other kinds, each with what its untouched code does when it is tried out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from swarm.project.settings import Config

CPU = {"device": "cpu", "agents": 1, "researcher": "sweep"}

SETTINGS = """command = ["{python}", "train.py"]
editable = ["train.py"]
metric = "cost"
direction = "lower"
budget = 1
"""
FINE = """WIDTH = 17
print("width is", WIDTH)
print("---")
print(f"cost: {WIDTH * 5781 / 7}")
print("items: 40")
print("wall_seconds: 0.3")
"""


def git(root: Path, *arguments: str) -> str:
    mine = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false"]
    return subprocess.run([*mine, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def repository(root: Path, train: str = FINE, settings: str = SETTINGS, **files: str) -> Path:
    """A committed repository whose train.py and swarm.toml are these; `files` by name, with _ for the dot."""
    root.mkdir()
    texts = {"train.py": train, "swarm.toml": settings, "program.md": "Lower it.\n"}
    for name, text in {**texts, **{name.replace("_", "."): text for name, text in files.items()}}.items():
        (root / name).write_text(text)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=start")
    return root


def config(**settings: object) -> Config:
    return Config(**{**CPU, **settings}).check()  # type: ignore[arg-type]
