# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
"""Trackio: one run per experiment in a local database, or in a Space where TRACKIO_SPACE_ID names one.

trackio show --project autoresearch-swarm-apr5
"""

from __future__ import annotations

import os
from pathlib import Path

from swarm.trackers.records import TrackedRun


class Trackio:
    """Sends to it; what it writes here goes below `folder`."""

    def __init__(self, tag: str, folder: Path) -> None:
        self._project = f"autoresearch-swarm-{tag}"

    def send(self, run: TrackedRun) -> None:
        import trackio

        trackio.init(
            project=self._project,
            name=run.id,
            group=run.group,
            space_id=os.environ.get("TRACKIO_SPACE_ID") or None,
            config=dict(run.config),
            resume="never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        for step, loss in enumerate(run.curve):
            trackio.log({"train/loss": loss}, step=step)
        trackio.log({f"summary/{name}": value for name, value in run.summary.items()}, step=len(run.curve))
        trackio.finish()
