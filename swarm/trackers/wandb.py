# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
"""Weights & Biases: one run per experiment, in the group of the swarm. Without a login it writes offline.

wandb sync .swarm/apr5/wandb/wandb/offline-run-*
"""

from __future__ import annotations

import netrc
import os
from pathlib import Path

from swarm.trackers.records import TrackedRun

PROJECT = "autoresearch-swarm"  # where WANDB_PROJECT says no other


class Wandb:
    """Sends to it; what it writes here goes below `folder`."""

    def __init__(self, tag: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._tag, self._folder = tag, folder

    def send(self, run: TrackedRun) -> None:
        import wandb

        # Nothing of this machine goes along: no code, no git remote, no output, no names, no list of packages.
        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            save_code=False,
            host="swarm",
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        with wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=run.id,
            name=f"{run.id} {run.title}"[:120],
            group=self._tag,
            job_type=str(run.config["category"]),
            tags=[str(run.summary.get("status", "")) or "none"],
            config=dict(run.config),
            dir=str(self._folder),
            mode=mode(),
            resume="allow",
            settings=settings,
        ) as sent:
            for step, loss in enumerate(run.curve):
                sent.log({"train/loss": loss}, step=step)
            sent.summary.update(dict(run.summary))


def mode() -> str:
    """What WANDB_MODE says; else online where there is a login, so that nobody is asked for one."""
    if said := os.environ.get("WANDB_MODE"):
        return said
    return "online" if os.environ.get("WANDB_API_KEY") or _in_netrc() else "offline"


def _in_netrc() -> bool:
    try:
        return netrc.netrc().authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
