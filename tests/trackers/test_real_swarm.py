"""A whole swarm on a real Ray with `--track`: what the tracker's own reader finds is what the ledger says.

.venv/bin/python -m pip install tensorboard trackio wandb mlflow-skinny
.venv/bin/python -m pytest -m slow tests/trackers/test_real_swarm.py
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from swarm.lab.simulation.project import make_project
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import own_mean
from swarm.ledger.home import ledger_path
from swarm.trackers.registry import KINDS

EXPERIMENTS = 3
Values = dict[str, float]  # by experiment; those without a number are left out


def _tensorboard(folder: Path) -> Values:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {run.name: EventAccumulator(str(run)).Reload() for run in (folder / "tensorboard").iterdir()}
    named = {name: read for name, read in found.items() if "summary/val_bpb" in read.Tags()["scalars"]}
    return {name: read.Scalars("summary/val_bpb")[0].value for name, read in named.items()}


def _trackio(folder: Path) -> Values:
    program = (
        "from trackio.sqlite_storage import SQLiteStorage as S; import json; p = 'autoresearch-swarm-apr5';"
        "found = {run: [line.get('summary/val_bpb') for line in S.get_logs(p, run)] for run in S.get_runs(p)};"
        "print(json.dumps(found))"
    )
    words = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TRACKIO_DIR": str(folder / "trackio-here")}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=words, check=True)
    found = {run: [value for value in values if value is not None] for run, values in json.loads(told.stdout).items()}
    return {run: values[-1] for run, values in found.items() if values}


def _wandb(folder: Path) -> Values:
    """Its offline runs are records of protobuf: the summary's values stand in them as JSON."""
    found: Values = {}
    for record in (folder / "wandb" / "wandb").glob("offline-run-*/run-*.wandb"):
        name = record.parent.name.split("-", 3)[3]
        values = re.findall(rb'val_bpb"?[^0-9]{1,8}([0-9.e-]+)', record.read_bytes())
        found |= {name: float(values[-1])} if values else {}
    return found


def _mlflow(folder: Path) -> Values:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(folder / "mlflow").as_uri())
    known = client.get_experiment_by_name("apr5")
    assert known
    runs = client.search_runs([known.experiment_id])
    return {
        run.data.tags["swarm.experiment"]: run.data.metrics["val_bpb"] for run in runs if "val_bpb" in run.data.metrics
    }


READERS: Mapping[str, Callable[[Path], Values]] = {
    "tensorboard": _tensorboard, "trackio": _trackio, "wandb": _wandb, "mlflow": _mlflow,
}  # fmt: skip


def test_every_tracker_is_tried() -> None:
    assert set(READERS) == set(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_swarm_is_tracked(
    name: str, tmp_path: Path, on_shared_ray: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec(KINDS[name].package) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    root = make_project(tmp_path / "project", budget=0.1)
    flags = ["--tag", "apr5", "--device", "sim", "--agents", "1", "--max-experiments", str(EXPERIMENTS)]
    command = [sys.executable, "-m", "swarm", "launch", "-C", str(root), "--researcher", "sweep", *flags]
    folder = root / ".swarm" / "apr5"
    offline = {"TRACKIO_DIR": str(folder / "trackio-here"), "WANDB_MODE": "offline", "HOME": str(tmp_path)}
    done = subprocess.run(
        [*command, "--track", name], env={**on_shared_ray, **offline}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        judged = [row["id"] for row in ledger.rows("SELECT id FROM experiments WHERE state = 'judged'")]
        values = {experiment: own_mean(ledger, experiment) for experiment in judged}
        warnings = [row["text"] for row in ledger.rows("SELECT text FROM events WHERE kind = 'warning'")]
    sent = json.loads((folder / f"tracked-{name}.json").read_text())
    assert sorted(sent) == sorted(judged) and len(judged) > EXPERIMENTS, "baselines too"
    assert not [text for text in warnings if name in text]
    seen = READERS[name](folder)
    assert seen == pytest.approx({name: value for name, value in values.items() if value is not None}, rel=1e-5)
    print(json.dumps({name: seen}))
