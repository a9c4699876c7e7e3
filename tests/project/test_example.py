"""The examples that `init` starts from: copied whole or not at all, and in the wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.project.example import copy_example, example_names

ROOT = Path(__file__).parents[2]


def test_an_example_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vision"):
        copy_example("visions", tmp_path)


def test_nothing_is_copied_over_a_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "swarm.toml").write_text("mine")
    with pytest.raises(UsageError, match=r"swarm\.toml already"):
        copy_example("vision", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["swarm.toml"]


@pytest.mark.long
def test_a_wheel_brings_them_all(tmp_path: Path) -> None:
    """Built as a user's pip does it, but with the setuptools that are installed: there may be no network."""
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    copy = tmp_path / "copy"  # a build leaves folders behind
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(copy)], check=True)
    subprocess.run([*pip, "-w", str(tmp_path), str(copy)], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "installed")
    for name in example_names():
        folder = tmp_path / name
        folder.mkdir()
        script = f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); from swarm.cli import main;"
        script += (
            f" import swarm; assert 'installed' in swarm.__file__; sys.exit(main(['init', '--example', {name!r}]))"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", script], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert {path.name for path in (ROOT / "examples" / name).iterdir() if path.is_file()} <= {
            path.name for path in folder.iterdir()
        }
