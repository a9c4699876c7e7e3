"""What several rooms' tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.simulation.project import make_project


def pytest_xdist_auto_num_workers() -> int:
    """How many tests `-n auto` runs at a time: they wait for processes more than they compute."""
    return min(8, 2 * (os.cpu_count() or 1))


@pytest.fixture(scope="session")
def finished_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one finished swarm, apr5: two experiments and a closing wave. Whoever changes it copies it.

    It is made once, whichever of the test processes asks first; the others wait for it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    root = shared / "finished-night" / "project"
    with (shared / "finished-night.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished").exists():
            shutil.rmtree(root.parent, ignore_errors=True)
            root.parent.mkdir()
            make_project(root, budget=0.1)
            flags = ["--tag", "apr5", "--device", "sim", "--agents", "1", "--max-experiments", "2"]
            command = [sys.executable, "-m", "swarm", "launch", "-C", str(root), *flags]
            done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            (shared / "finished").touch()
    return root
