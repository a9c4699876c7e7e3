"""What CI runs says at its end how long each part took, whatever came of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with nothing but .ci/run; `make` does nothing there, and fails where FAILS names its target."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / ".ci" / "wheel").write_text("#!/bin/sh\necho the wheel was tried\n")
    (tmp_path / ".ci" / "wheel").chmod(0o755)
    programs = {"make": 'echo "made $*"; [[ " $FAILS " != *" $1 "* ]]', "claude": "", "id": "echo 1000"}
    for name, body in programs.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("fails", "parts", "failed"),
    [
        ("", ["make lint", "make test", "the wheel", "make chaos", "make demo", "make test-cluster"], []),
        ("demo", ["make lint", "make test", "the wheel", "make chaos", "make demo"], ["make demo"]),
        ("test", ["make lint", "make test", "what failed again"], ["make test", "what failed again"]),
    ],
)
def test_it_says_how_long_each_part_took(clone: Path, fails: str, parts: list[str], failed: list[str]) -> None:
    environment = {**os.environ, "PATH": f"{clone / 'bin'}:{os.environ['PATH']}", "FAILS": fails}
    done = subprocess.run([clone / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == bool(failed), done.stdout + done.stderr
    told = re.findall(r"^(.+?) \d+ s(, failed with 1)?$", done.stdout, re.MULTILINE)
    assert [name for name, _ in told] == ["make setup", *parts, "in all"]
    assert [name for name, wrong in told if wrong] == failed
