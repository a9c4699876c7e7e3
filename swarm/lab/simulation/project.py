"""A synthetic research project as a real git repository: `python -m swarm.lab.simulation.project FOLDER`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from swarm.errors import SwarmError, UsageError

TEMPLATE = Path(__file__).with_name("template")
SIGMA, BUDGET, OFFSET = 0.0006, 1.0, 0.5
FAULTS = ("", "crash", "oom", "nan", "hang")


def make_project(
    folder: Path, *, budget: float = BUDGET, sigma: float = SIGMA, offset: float = OFFSET, fault: str = ""
) -> Path:
    """The synthetic project in the new `folder`, committed on branch main; gives the folder.

    `budget` is seconds per run, `sigma` the noise of val_bpb between seeds, `offset` the spread of the GPUs' offsets
    in sigmas, and `fault` (one of FAULTS) what every training does, as a machine or a train.py that is broken would.
    UsageError where the folder holds something already.
    """
    if fault not in FAULTS:
        raise UsageError(f"no fault is called {fault!r}: there are {', '.join(filter(None, FAULTS))}")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} is there already: give a new folder")
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    (folder / "problem.json").write_text(json.dumps({"sigma": sigma, "offset": offset, "fault": fault}) + "\n")
    settings = folder / "swarm.toml"
    text = settings.read_text().replace(f"budget = {BUDGET}", f"budget = {budget}")
    settings.write_text(text.replace(f"sim = {SIGMA}", f"sim = {sigma}"))
    (folder / ".gitignore").write_text("__pycache__/\n")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--no-verify", "--message=A synthetic research problem")
    return folder


def _git(folder: Path, *arguments: str) -> None:
    """git in `folder` alone: neither the user's identity, signing nor hooks, nor a repository around, has a say."""
    person = {"NAME": "autoresearch", "EMAIL": "autoresearch@localhost"}
    mine = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-c", "commit.gpgsign=false", "-c", "core.autocrlf=false", "-c", "init.templateDir=", *arguments]
    try:
        subprocess.run(command, cwd=folder, env=inherited | mine, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UsageError("git is not installed, or not on the PATH") from error
    except subprocess.CalledProcessError as error:
        raise SwarmError(f"git {arguments[0]} failed in {folder}: {error.stderr.strip()}") from error


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: python -m swarm.lab.simulation.project FOLDER", file=sys.stderr)
        return 2
    try:
        folder = make_project(Path(sys.argv[1]))
    except SwarmError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{folder} is ready: cd {folder} && python -m swarm launch")
    return 0


if __name__ == "__main__":
    sys.exit(main())
