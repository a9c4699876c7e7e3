"""The comparability key of a swarm: with which results its own may be compared."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path

from swarm.errors import UsageError
from swarm.execution.included import Included
from swarm.execution.slot import Slot
from swarm.project.environment import own_environment
from swarm.project.project import Project
from swarm.records import Source


def comparability_key(
    root: Path,
    project: Project,
    fixed_files: Source,
    device: str,
    slots: Mapping[str, Slot],
    budget: float,
    data: Mapping[str, object],
    included: Included,
) -> dict[str, object]:
    """With which results this swarm's may be compared: those measured under an equal key.

    Of what a run may access, all that can change a number is in it: the content of what is included, which folders are
    readable, which variables are passed (their names alone: values may be keys), and whether there is a network.
    """
    fixed = {path: hashlib.sha256(content).hexdigest() for path, content in fixed_files.files.items()}
    return {
        "device": device,
        "threads": next(iter(slots.values())).threads if device.startswith("cpu") else 0,  # elsewhere the GPU decides
        "data": data.get("key", ""),
        "fixed": hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16],
        "budget": budget,
        "metric": project.metric,
        "torch": _torch(root),
        **_reading(project),
        **_access(project, included),
    }


def _reading(project: Project) -> dict[str, object]:
    """Where a run's number is read from, if not from what it prints under the metric's name."""
    parts = {"result": project.result, "pattern": project.pattern}
    return {name: value for name, value in parts.items() if value}


def _access(project: Project, included: Included) -> dict[str, object]:
    """Nothing of a project that asks for nothing: its results compare with those of before these keys."""
    parts = {
        "include": included.key,
        "readable": sorted(project.readable),
        "pass_env": sorted(project.pass_env),
        "network": project.network,
    }
    return {name: value for name, value in parts.items() if value}


def refuse_other_key(tag: str, key: Mapping[str, object], first: Mapping[str, object]) -> None:
    names = [name for name in (*key, *(first.keys() - key.keys())) if first.get(name) != key.get(name)]
    changed = [f"{name} ({first.get(name, 'none')} then, {key.get(name, 'none')} now)" for name in names]
    if changed:
        raise UsageError(
            f"{tag} cannot be resumed, as results would not be comparable: another {', '.join(changed)};"
            f" start a new swarm from it with `--tag OTHER --from {tag}`"
        )


def _torch(root: Path) -> str:
    """The version of torch that runs use: that of the repository's own environment, where it has one."""
    if own := own_environment(root):
        found = sorted(own.glob("lib/python*/site-packages/torch-*.dist-info"))
        return found[-1].name.removeprefix("torch-").removesuffix(".dist-info") if found else ""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""
