# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
"""MLflow: one run per experiment, in the MLflow experiment of the swarm; into a local file where no server is named.

mlflow ui --backend-store-uri .swarm/apr5/mlflow
"""

from __future__ import annotations

import os
from pathlib import Path

from swarm.trackers.records import TrackedRun

LONGEST = 5_000  # characters of a parameter or tag


class Mlflow:
    """Sends to it; what it writes here goes below `folder`."""

    def __init__(self, tag: str, folder: Path) -> None:
        self._tag = tag
        self._store = os.environ.get("MLFLOW_TRACKING_URI") or folder.absolute().as_uri()
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # newer versions want to be told that a folder will do

    def send(self, run: TrackedRun) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        client = MlflowClient(tracking_uri=self._store)
        known = client.get_experiment_by_name(self._tag)
        group = known.experiment_id if known else client.create_experiment(self._tag)
        for old in client.search_runs([group], filter_string=f"tags.`swarm.experiment` = '{run.id}'"):
            client.delete_run(old.info.run_id)  # of a process that was ended in the middle
        made = client.create_run(group, start_time=int(run.started * 1000), run_name=f"{run.id} {run.title}"[:200])
        at = int(run.ended * 1000)
        losses = [Metric("train/loss", loss, at, step) for step, loss in enumerate(run.curve)]
        numbers = [Metric(name, float(v), at, 0) for name, v in run.summary.items() if isinstance(v, (int, float))]
        words = [RunTag(name, value[:LONGEST]) for name, value in run.summary.items() if isinstance(value, str)]
        params = [Param(name, str(value)[:LONGEST]) for name, value in run.config.items()]
        tags = [*words, RunTag("swarm.experiment", run.id), RunTag("mlflow.user", "swarm")]
        client.log_batch(made.info.run_id, metrics=[*losses, *numbers], params=params, tags=tags)
        client.set_terminated(made.info.run_id, end_time=at)
