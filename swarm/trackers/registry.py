"""The trackers that ship, and what each needs. Their packages are imported in the process that sends, only there."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import UsageError
from swarm.trackers.records import Tracker


@dataclass(frozen=True, slots=True)
class Kind:
    """One tracker: the class that sends to it, its package, and the prefixes of the variables that it may see."""

    place: str
    package: str
    variables: tuple[str, ...]
    requirement: str


KINDS: Mapping[str, Kind] = {
    "wandb": Kind("swarm.trackers.wandb:Wandb", "wandb", ("WANDB_",), "wandb"),
    "trackio": Kind("swarm.trackers.trackio:Trackio", "trackio", ("TRACKIO_", "HF_"), "trackio"),
    "mlflow": Kind("swarm.trackers.mlflow:Mlflow", "mlflow", ("MLFLOW_", "DATABRICKS_"), "mlflow-skinny"),
    "tensorboard": Kind("swarm.trackers.tensorboard:Tensorboard", "tensorboard", (), "tensorboard"),
}


def check(name: str) -> None:
    """UsageError where there is no such tracker, or its package is not installed."""
    if name not in KINDS:
        raise UsageError(f"--track {name!r:.40}: it is one of {', '.join(KINDS)}")
    if importlib.util.find_spec(KINDS[name].package) is None:
        raise UsageError(f"--track {name} needs its package: pip install {KINDS[name].requirement}")


def open_tracker(name: str, tag: str, folder: Path) -> Tracker:
    """The tracker, for this swarm; what it writes on this machine goes below `folder`."""
    module, _, attribute = KINDS[name].place.partition(":")
    return getattr(importlib.import_module(module), attribute)(tag, folder)
