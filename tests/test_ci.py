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
    return tmp_path


PARTS = ["make lint", "make test", "the wheel", "make chaos", "make demo", "make test-cluster"]


@pytest.mark.parametrize(
    ("fails", "parts"),
    [("", PARTS), ("demo", PARTS), ("test-cluster", PARTS), ("test", PARTS[:2]), ("chaos", PARTS[:4])],
)
def test_it_says_how_long_each_part_took(clone: Path, fails: str, parts: list[str]) -> None:
    environment = {**os.environ, "PATH": f"{clone / 'bin'}:{os.environ['PATH']}", "FAILS": fails}
    done = subprocess.run([clone / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == bool(fails), done.stdout + done.stderr
    told = re.findall(r"^(.+?) \d+ s(, failed with 1)?$", done.stdout, re.MULTILINE)
    assert [name for name, _ in told] == ["make setup", *parts, "in all"]
    assert [name for name, wrong in told if wrong] == ([f"make {fails}"] if fails else [])
    assert ("made test-cluster" in done.stdout) is (parts == PARTS), "what runs beside another is shown too"
