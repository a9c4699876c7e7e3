"""Whole swarms on repositories that know nothing of it, in the shapes that autoresearch's forks have."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from tests.verbs import called

PREPARE = """TIME_BUDGET = 300  # seconds
TARGET = 1.5


def evaluate_bpb(weight):
    return 1.0 + (weight - TARGET) ** 2
"""
TRAIN = """import random
import time

from prepare import TARGET, TIME_BUDGET, evaluate_bpb

MATRIX_LR = 0.3
TOTAL_BATCH_SIZE = 4

start = time.time()
random.seed(42)
weight = 0.0
for step in range(60):
    noise = sum(random.gauss(0, 0.3) for _ in range(TOTAL_BATCH_SIZE)) / TOTAL_BATCH_SIZE
    weight -= MATRIX_LR * (2 * (weight - TARGET) + noise)
    time.sleep(TIME_BUDGET / 60)
    print(f"\\rstep {step:05d} | loss: {weight:.4f}   ", end="", flush=True)
print()
print("---")
print(f"val_bpb:          {evaluate_bpb(weight):.6f}")
print(f"training_seconds: {time.time() - start:.1f}")
print("peak_vram_mb:     n/a")
print("dataset:          made up")
"""


def repository(root: Path, **files: str) -> Path:
    root.mkdir()
    for name, text in {"program.md": "Lower it.\n", **files}.items():
        (root / name).write_text(text)
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false", *arguments]
        subprocess.run(git, cwd=root, check=True)
    return root


LAUNCH = ["launch", "--tag", "apr5", "--device", "sim", "--agents", "1", "--repo"]


def launch(root: Path, ray: Mapping[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "swarm", *LAUNCH, str(root), *flags]
    return subprocess.run(command, env=ray, capture_output=True, text=True, check=False)


def refused(root: Path) -> str:
    """What a launch says that is refused before anything runs."""
    told = called(*LAUNCH, str(root), "--dry-run")
    assert told.returncode == 2
    return told.stderr


def look(root: Path, verb: str) -> str:
    told = called(verb, "--repo", str(root))
    assert told.returncode == 0, told.stderr
    return told.stdout


def runs(root: Path) -> list[tuple]:
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        return [tuple(row) for row in ledger.rows("SELECT purpose, seed, value, audited FROM runs ORDER BY started")]


@pytest.mark.long
def test_autoresearch_as_it_is_with_its_own_environment_and_another_budget(
    tmp_path: Path, on_shared_ray: Mapping[str, str]
) -> None:
    root = repository(
        tmp_path / "fork",
        **{"train.py": TRAIN, "prepare.py": PREPARE, "uv.lock": "version = 1\n", ".gitignore": ".venv"},
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / ".venv")], check=True)
    done = launch(root, on_shared_ray, "--budget", "0.2", "--max-experiments", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    plan = " ".join(done.stdout.split())
    assert "train.py (the repository's own .venv)" in plan and "the one written in train.py is replaced" in plan
    assert (
        "val_bpb (printed by train.py), lower is better (by the metric's name); as printed by the run (unaudited)"
        in plan
    )
    # Of a run that was lost, as on a busy machine, there is another with its seed.
    baseline = {seed: value for purpose, seed, value, _ in runs(root) if purpose == "baseline" and value is not None}
    assert len(set(baseline.values())) == len(baseline) >= 2  # a literal 42 would have given one number
    assert not any(audited for *_, audited in runs(root))
    assert "sigma 0.0" in look(root, "status")
    assert subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, check=True).stdout == b""
    assert (root / "train.py").read_text() == TRAIN and (root / "prepare.py").read_text() == PREPARE


@pytest.mark.skipif(not shutil.which("uv"), reason="uv is not installed: python -m pip install uv")
def test_a_project_of_uv_is_run_by_the_environment_that_uv_makes(
    tmp_path: Path, on_shared_ray: Mapping[str, str]
) -> None:
    """Without a download: it needs nothing but Python itself."""
    settings = '[project]\nname = "fork"\nversion = "0"\nrequires-python = ">=3.11"\n'
    files = {"train.py": TRAIN, "prepare.py": PREPARE, "pyproject.toml": settings, ".gitignore": ".venv\n"}
    root = repository(tmp_path / "fork", **files)
    uv = ["uv", "--offline", "--quiet", "--directory", str(root)]
    subprocess.run([*uv, "lock", "--python", sys.executable], check=True)
    assert "run `uv sync` there first" in refused(root)
    subprocess.run([*uv, "sync", "--python", sys.executable], check=True)
    for arguments in (["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "lock"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    done = launch(root, on_shared_ray, "--budget", "0.2", "--max-experiments", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "train.py (the repository's own .venv)" in " ".join(done.stdout.split())
    assert [value for _, _, value, _ in runs(root) if value]


DETERMINISTIC = """import time

WIDTH = 8
DEPTH_FACTOR = 1.5

time.sleep(0.2)
print(f"METRIC accuracy={1 - 1 / (WIDTH * DEPTH_FACTOR)}")
print(f"METRIC memory_mb={100 * WIDTH * DEPTH_FACTOR}")
"""


@pytest.mark.slow
def test_higher_is_better_under_a_guard_and_noise_that_cannot_be_measured(
    tmp_path: Path, on_shared_ray: Mapping[str, str]
) -> None:
    settings = 'guards = { memory_mb = "+10%" }\nbudget = 1\n'
    root = repository(tmp_path / "fork", **{"train.py": DETERMINISTIC, "swarm.toml": settings})
    done = launch(root, on_shared_ray, "--max-experiments", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "METRIC" not in done.stdout and "accuracy (printed by train.py), higher is better" in " ".join(
        done.stdout.split()
    )
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        rows = ledger.rows("SELECT status, gain, reason FROM experiments WHERE baseline = 0 AND state = 'judged'")
    assert rows and all(row["status"] == "discard" for row in rows)  # more is better, and costs too much memory
    assert any(row["gain"] > 0 and "guard: memory_mb is" in row["reason"] for row in rows)
    assert "noise unmeasured" in look(root, "status")


@pytest.mark.slow
def test_a_metric_that_never_comes_ends_the_night_with_the_reason(
    tmp_path: Path, on_shared_ray: Mapping[str, str]
) -> None:
    train = "print('---')\nif not 1:\n    print('val_bpb: 1')\nprint('val_bbp: 0.99')\n"
    root = repository(tmp_path / "fork", **{"train.py": train})
    done = launch(root, on_shared_ray, "--budget", "1")
    assert done.returncode == 1
    assert "the baseline crashes on every agent" in done.stderr
    assert "printed no number for val_bpb: neither `val_bpb: NUMBER`" in done.stderr
    assert "what is printed there: val_bbp" in done.stderr
    assert "logs/apr5-gpu0-0000" in done.stderr


def test_a_part_of_a_repository_is_its_own_project_and_not_taken_for_the_whole(tmp_path: Path) -> None:
    root = repository(tmp_path / "fork", **{"train.py": TRAIN, "prepare.py": PREPARE})
    (root / "part").mkdir()
    (root / "part" / "swarm.toml").write_text("budget = 1\n")
    assert "nothing says which files may be edited" in refused(root / "part")
    (root / "part" / "swarm.toml").unlink()
    assert f"but {root} is: name that with -C {root}" in refused(root / "part")
    assert not (root / ".swarm").exists()
