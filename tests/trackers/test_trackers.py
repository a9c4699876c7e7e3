"""The real trackers that run on this machine, and the real process that sends; a missing package is skipped."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.coordinator.tracking import environment
from swarm.errors import UsageError
from swarm.ledger.database import Ledger
from swarm.records import Failure
from swarm.trackers.reading import unsent
from swarm.trackers.registry import KINDS, check
from tests.board.nights import Night

CANARY = "canary-4711-of-a-key"
TRACE = (3.0, 2.5, None, 2.0)


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A swarm with a baseline, a keep with a loss curve, and a crash."""
    night = Night(tmp_path / "ledger.sqlite", agents=1, policy="greedy")
    night.join()
    night.run("gpu0", 1.0)
    while night.state("apr5-gpu0-0000") != "judged":
        night.run("gpu0", 1.0)
    kept = night.draft("gpu0", 1)
    night.record("gpu0", night.measure("gpu0"), 0.99, trace=TRACE)
    assert night.state(kept) == "judged"
    crashed = night.draft("gpu0", 2)
    while night.state(crashed) != "judged":
        night.run("gpu0", Failure.NAN)
    yield night
    night.ledger.close()


def send(name: str, night: Night, folder: Path, **variables: str) -> list[str]:
    """What the process that sends tells until it ends, with a key of somebody else's beside it."""
    if importlib.util.find_spec(KINDS[name].package) is None:
        pytest.skip(f"{name} is not installed")
    around = {"ANTHROPIC_API_KEY": CANARY, "SWARM_NOTIFY": f"https://ntfy.sh/{CANARY}", "HOME": str(folder)}
    seen = environment(name, {**_PATH, **around, **variables})
    assert CANARY not in str(seen)
    command = [sys.executable, "-m", "swarm.trackers", name, str(night.path), "apr5", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=seen, check=False)
    assert done.returncode == 0, done.stderr
    assert not [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    return done.stdout.splitlines()


_PATH = {"PATH": "/usr/bin:/bin"}
SENT = [f"{word} apr5-gpu0-000{number}" for number in range(3) for word in ("sending", "sent")]


def test_an_experiment_is_told_with_all_that_is_known_of_it(night: Night) -> None:
    with_ledger = Ledger(night.path)
    baseline, kept, crashed = unsent(with_ledger, "apr5", ())
    with_ledger.close()
    assert baseline.config["category"] == "baseline" and baseline.summary["status"] == "keep"
    assert (kept.group, kept.config["knob.k1"], kept.config["parent_position"]) == ("apr5", "2", 1)
    assert kept.summary["val_bpb"] == 0.99 and kept.summary["gain"] == pytest.approx(0.01, abs=0.002)
    assert kept.curve == (3.0, 2.5, 2.0)  # what is not known is left out
    assert crashed.summary["failure"] == "nan" and "val_bpb" not in crashed.summary and crashed.curve == ()


def test_tensorboard_gets_curve_numbers_and_words(night: Night, tmp_path: Path) -> None:
    assert send("tensorboard", night, tmp_path / "apr5") == SENT
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(tmp_path / "apr5" / "tensorboard" / "apr5-gpu0-0001")).Reload()
    assert [(point.step, point.value) for point in read.Scalars("train/loss")] == [(0, 3.0), (1, 2.5), (2, 2.0)]
    assert read.Scalars("summary/val_bpb")[0].value == pytest.approx(0.99)
    (words,) = read.Tensors("verdict/text_summary")
    assert 'status: "keep"' in words.tensor_proto.string_val[0].decode()


def test_trackio_gets_a_run_for_each(night: Night, tmp_path: Path) -> None:
    assert send("trackio", night, tmp_path / "apr5", TRACKIO_DIR=str(tmp_path / "trackio")) == SENT
    program = (
        "from trackio.sqlite_storage import SQLiteStorage as S; import json;"
        "p = 'autoresearch-swarm-apr5'; print(json.dumps([S.get_runs(p), S.get_logs(p, 'apr5-gpu0-0001')]))"
    )
    words = {**_PATH, "TRACKIO_DIR": str(tmp_path / "trackio"), "HOME": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=words, check=True)
    runs, logs = json.loads(told.stdout)
    assert sorted(runs) == [f"apr5-gpu0-000{number}" for number in range(3)]
    assert [line["train/loss"] for line in logs if "train/loss" in line] == [3.0, 2.5, 2.0]
    assert logs[-1]["summary/status"] == "keep" and logs[-1]["summary/val_bpb"] == 0.99


def test_wandb_writes_offline_where_nobody_is_logged_in(night: Night, tmp_path: Path) -> None:
    assert send("wandb", night, tmp_path / "apr5") == SENT
    folders = list((tmp_path / "apr5" / "wandb" / "wandb").glob("offline-run-*-apr5-gpu0-000*"))
    assert len(folders) == 3
    (kept,) = (folder for folder in folders if folder.name.endswith("0001"))
    record = next(kept.glob("run-*.wandb")).read_bytes()
    assert b"k1 -> 2" in record and b"train/loss" in record and b"apr5" in record


def test_mlflow_gets_a_run_for_each(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send("mlflow", night, tmp_path / "apr5") == SENT
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "apr5" / "mlflow").as_uri())
    known = client.get_experiment_by_name("apr5")
    assert known
    runs = {run.data.tags["swarm.experiment"]: run for run in client.search_runs([known.experiment_id])}
    kept = runs["apr5-gpu0-0001"]
    assert len(runs) == 3 and kept.data.metrics["val_bpb"] == 0.99 and kept.data.tags["status"] == "keep"
    assert [point.value for point in client.get_metric_history(kept.info.run_id, "train/loss")] == [3.0, 2.5, 2.0]
    assert kept.data.params["knob.k1"] == "2"


def test_nothing_is_sent_twice(night: Night, tmp_path: Path) -> None:
    assert send("tensorboard", night, tmp_path / "apr5") == SENT
    assert send("tensorboard", night, tmp_path / "apr5") == []
    night.draft("gpu0", 3)
    night.run("gpu0", 1.2)
    assert send("tensorboard", night, tmp_path / "apr5")[-1] == "sent apr5-gpu0-0003"


def test_a_tracker_that_is_none_or_not_there_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="it is one of wandb, trackio, mlflow, tensorboard"):
        check("neptune")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="--track mlflow needs its package: pip install mlflow-skinny"):
        check("mlflow")
