"""Every example, copied out and run as its README says: it finds something better, by configuration alone."""

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
from swarm.project.project import load_project
from tests.verbs import called

EXAMPLES = Path(__file__).parents[1] / "examples"
FLAGS = {
    "cpp": ["--max-experiments", "6"],
    "function-speed": ["--max-experiments", "5"],
    "vision": ["--max-experiments", "6"],
    "prompt": [
        "--researcher",
        "scripted",
        "--script",
        str(EXAMPLES / "prompt" / "ideas.toml"),
        "--max-experiments",
        "4",
    ],
}


def started(name: str, root: Path) -> Path:
    """The example in an empty folder, as its README says."""
    root.mkdir()
    done = called("init", "--example", name, "-C", str(root))
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def test_every_example_is_tested_and_explained() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/swarm.toml")} == set(FLAGS)
    told = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}/`" in told for name in FLAGS)


@pytest.mark.parametrize(
    ("name", "metric", "direction"),
    [
        pytest.param("vision", "accuracy", "higher", marks=pytest.mark.slow),
        pytest.param("function-speed", "seconds", "lower", marks=pytest.mark.slow),
        pytest.param("cpp", "milliseconds", "lower", marks=pytest.mark.slow),
        ("prompt", "score", "higher"),
    ],
)
@pytest.mark.long
def test_the_example_is_improved(
    name: str, metric: str, direction: str, tmp_path: Path, on_shared_ray: Mapping[str, str]
) -> None:
    if name == "cpp" and not shutil.which("c++"):
        pytest.skip("no C++ compiler is installed")
    root = started(name, tmp_path / name)
    project = load_project(root)
    assert (project.metric, project.direction) == (metric, direction)
    command = [sys.executable, "-m", "swarm", "launch", "--repo", str(root), "--device", "sim", "--agents", "1"]
    command += FLAGS[name]
    done = subprocess.run(command, env=on_shared_ray, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        kept = ledger.rows("SELECT gain FROM experiments WHERE baseline = 0 AND status = 'keep'")
        wrong = ledger.rows("SELECT 1 FROM experiments WHERE status = 'keep' AND reason LIKE 'guard%'")
    assert kept and not wrong, done.stdout
