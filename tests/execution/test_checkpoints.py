"""A run that lies too far behind its parent is ended at a checkpoint; any other is trained to its end."""

from __future__ import annotations

import asyncio
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from swarm.execution.checkpoints import Checkpoints
from swarm.records import Checkpoint, Failure, Measure, Progress, Purpose, Run, Source

HALF = Checkpoint(begin=0.4, end=0.5, most=4.0)
TRAIN = """
import json, os, pathlib, time
folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
with open(folder / "heartbeat.jsonl", "a") as beats:
    for step in range(60):
        beats.write(json.dumps({"step": step, "loss": LOSS, "seconds": step / 100}) + "\\n")
"""


def trained(rig: Any, loss: float, then: str) -> Run:
    source = Source({"train.py": (TRAIN.replace("LOSS", str(loss)) + textwrap.dedent(then)).encode()})
    work = Measure("t-gpu0-0001.1", 1, "t-gpu0-0001", "an idea", Purpose.FIRST, 7, source.sha, "", 1.0)
    return asyncio.run(rig.runner().run(replace(work, checkpoints=(HALF,)), source, lambda progress: None))


def test_a_hopeless_run_is_ended_and_has_no_number(rig: Any) -> None:
    run = trained(rig, 4.5, "print('val_bpb: 0.5', flush=True); time.sleep(600)")
    assert (run.failure, run.metrics) == (Failure.FUTILE, None)
    assert run.reason.startswith("ended after 0.5 s of training, without a number: its loss was 4.5 from 0.4 s on")


def test_any_other_run_is_trained_to_its_end(rig: Any, awaits: str) -> None:
    run = trained(rig, 3.5, "time.sleep(2); print('val_bpb: 1.25')")
    assert run.failure is None and run.metrics and run.metrics.value == 1.25


@pytest.fixture
def heartbeat(tmp_path: Path) -> Path:
    """Losses rise from 3 to 5 until half way, and the line that is being written is cut off."""
    path = tmp_path / "heartbeat.jsonl"
    beats = [json.dumps({"step": step, "loss": 3 + step / 25, "seconds": step / 100}) for step in range(51)]
    path.write_text("\n".join([*beats, '{"step": 51, "lo']))
    return path


def test_the_mean_between_two_moments_decides(heartbeat: Path) -> None:
    assert Checkpoints((replace(HALF, most=4.8),)).failed(heartbeat)  # 4.82 is the mean of the last tenth
    assert not Checkpoints((replace(HALF, most=4.84),)).failed(heartbeat)
    assert not Checkpoints((Checkpoint(0.6, 0.7, 0.0),)).failed(heartbeat)  # nothing is known of that time
    assert not Checkpoints((HALF,)).failed(heartbeat.with_name("missing"))


def test_a_checkpoint_is_looked_at_once_and_only_in_training(heartbeat: Path) -> None:
    checkpoints = Checkpoints((replace(HALF, most=9.0),))
    assert not checkpoints.due(Progress("training", seconds=0.5))
    assert not checkpoints.due(Progress("measuring", seconds=0.6))
    assert checkpoints.due(Progress("training", seconds=0.51))
    assert not checkpoints.failed(heartbeat) and not checkpoints.due(Progress("training", seconds=0.6))


def test_what_ended_by_itself_meanwhile_keeps_its_own_end(heartbeat: Path) -> None:
    checkpoints = Checkpoints((HALF,))
    assert checkpoints.failed(heartbeat)
    crashed = Run("r", 1, 0.0, 1.0, 1.0, failure=Failure.CODE, reason="KeyError")
    assert checkpoints.settled(crashed) is crashed
    stopped = replace(crashed, failure=Failure.INTERRUPTED)
    assert checkpoints.settled(stopped).failure is Failure.FUTILE
    assert Checkpoints((HALF,)).settled(stopped) is stopped  # somebody else stopped it
