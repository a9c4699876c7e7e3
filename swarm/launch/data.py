"""The prepared data of a project on this host, as the project's data command reports it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from swarm.errors import UsageError
from swarm.project.project import Project


def prepared(project: Project, root: Path, checkout: Path | None = None) -> Mapping[str, object]:
    """What the project's data command says is prepared on this host, asked in the tree at `root`; with the interpreter
    of the `checkout`, where this host has it.

    UsageError with its words where nothing is.
    """
    if not project.data:
        return {}
    command = " ".join(project.data)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # a plan changes nothing
    try:
        done = subprocess.run(
            project.argv(project.data, checkout),
            cwd=root,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise UsageError(
            f"`{command}` cannot be run ({error.strerror}): see `data` in the project's settings"
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UsageError(
            f"the data is not prepared: run `{project.prepare}` first" + (f" ({said[-1]})" if said else "")
        )
    try:
        data = json.loads(done.stdout)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise UsageError(f"`{command}` must print one JSON object, not {done.stdout[:80]!r}")
    return data


def named(data: Mapping[str, object]) -> str:
    """The data in a few words: which corpus, and the beginning of what identifies it; "" where nothing does."""
    return f"{data.get('corpus', 'corpus')} {str(data['key'])[:16]}" if "key" in data else ""
