"""A night as a job of Ray's: submitted to the dashboard of a real cluster, it runs there, and its end is the job's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.lab.simulation.project import make_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A head with two simulated GPUs and its dashboard; gives the dashboard's URL."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head = {"num_cpus": 2, "num_gpus": 2, "include_dashboard": True, "dashboard_port": 0}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield f"http://{cluster.head_node.webui_url}"
    cluster.shutdown()


def ray(dashboard: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`ray job`, as docs/cluster.md says it."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", words[0], "--address", dashboard, *words[1:]]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_submitted_night_joins_the_cluster_and_ends_with_its_job(dashboard: str, tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", budget=0.3)
    python = f"cd {root} && {sys.executable}"
    launch = f"{python} -m swarm launch --device sim --gpus 2 --tag apr5 --max-experiments 2"
    submit = ("submit", "--submission-id", "apr5", "--", "bash", "-lc", launch)
    patience = time.monotonic() + 1000
    done = ray(dashboard, *submit)
    while "No available agent" in done.stderr and time.monotonic() < patience:  # the dashboard is still starting
        time.sleep(2)
        done = ray(dashboard, *submit)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 GPUs" in done.stdout and "apr5 has ended: 2 experiments done" in done.stdout
    assert "succeeded" in ray(dashboard, "status", "apr5").stdout
    status = subprocess.run(
        [sys.executable, "-m", "swarm", "status", "-C", str(root), "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(status.stdout)["experiments"] == 2
