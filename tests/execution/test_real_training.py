"""Guard, sandbox, our own trainer and its referee, together and without Ray: on a CPU, and where there is one on a GPU.

python -m pytest tests/execution/test_real_training.py
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import torch

from swarm.execution import run_spec
from swarm.execution.runner import LocalRunner, Slot
from swarm.execution.sandbox.sandbox import wanted
from swarm.project.project import load_project
from swarm.records import Measure, Progress, Purpose, Source
from tests.execution.conftest import archive
from tests.trainer.conftest import ROOT, cache

__all__ = ["cache"]

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])])
@pytest.mark.timeout(1500)
@pytest.mark.long
def test_our_trainer_is_trained_and_measured_in_its_sandbox(
    device: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_spec, "LOCK_FOLDER", tmp_path / "locks")
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(cache))
    for name in ("SWARM_RUN_DIR", "AUTORESEARCH_PRESET", "AUTORESEARCH_CORPUS"):
        monkeypatch.delenv(name, raising=False)
    project = load_project(ROOT)
    paths = [*project.editable, *project.fixed, "pyproject.toml"]
    slot = Slot(device, 0, gpu="0" if device == "cuda" else None, lock="a-test" if device == "cuda" else "")
    runner = LocalRunner(
        project, archive({path: (ROOT / path).read_text() for path in paths}), tmp_path / "gpu0", slot,
        sandboxed=wanted("auto"),
    )  # fmt: skip
    source = Source({"trainer/train.py": (ROOT / "trainer/train.py").read_bytes()})
    seen: list[Progress] = []
    budget = 10.0 if device == "cuda" else 2.0
    for number in (1, 2) if device == "cuda" else (1,):  # the second one finds what the first one compiled
        name = f"t-gpu0-000{number}"
        work = Measure(f"{name}.1", 1, name, "as it is", Purpose.BASELINE, number, source.sha, source.sha, budget)
        run = asyncio.run(runner.run(work, source, seen.append))
        assert run.failure is None and run.metrics, (run.failure, Path(run.log).read_text()[-2000:])
        assert run.metrics.audited and 0.1 < run.metrics.value < 6.0
        assert run.metrics.values["device"] == device
        assert run.trace and run.trace[-1] < run.trace[0], "its loss did not fall"
        print(json.dumps({"device": device, "run": number, "seconds": run.seconds, **run.metrics.values}))
    assert {progress.phase for progress in seen} >= {"training"}
