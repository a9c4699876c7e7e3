"""Which folder a command is about: the one that is named, or for those that look at a swarm the one where it is."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import pytest

from swarm import cli
from swarm.cli.options import root_of, swarm_root_of
from swarm.errors import UsageError


def options(folder: Path) -> argparse.Namespace:
    return argparse.Namespace(directory=str(folder))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "mono"
    (root / "one" / "src").mkdir(parents=True)
    (root / "two").mkdir()
    for folder in (root / "one", root):
        (folder / ".swarm").mkdir()
        (folder / ".swarm" / "ledger.sqlite").touch()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    return root


def test_the_folder_that_is_named_is_the_project(root: Path) -> None:
    for folder in (root, root / "one", root / "one" / "src", root / "two"):
        assert root_of(options(folder)) == folder
    with pytest.raises(UsageError, match="no such folder"):
        root_of(options(root / "three"))
    with pytest.raises(UsageError, match="not in a git repository"):
        root_of(options(root.parent))


def test_doctor_looks_at_the_machine_where_there_is_no_repository(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "-C", str(root.parent), "--json"]) in (0, 1)
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert findings["repository"]["ok"] is None and {"python", "git", "ray", "disk", "sandbox"} <= set(findings)


def test_verbs_that_look_find_the_nearest_swarm_around(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root / "one" / "src")
    for folder, found in (
        (root / "one" / "src", root / "one"),
        (tmp_path / "link", root / "one"),
        (root / "one", root / "one"),
        (root / "two", root),
    ):
        assert swarm_root_of(options(folder)) == found.resolve()
    (root / ".swarm" / "ledger.sqlite").unlink()
    assert swarm_root_of(options(root / "two")) == root / "two"


def test_a_folder_that_is_no_project_is_one_line_with_the_one_that_is(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "swarm.toml").write_text('command = ["true"]\neditable = ["a.py"]\nmetric = "val_loss"\n')
    assert cli.main(["launch", "-C", str(root / "two"), "--dry-run"]) == 2
    printed = capsys.readouterr()
    assert not printed.out and printed.err.count("\n") == 1 and f"name that with -C {root}" in printed.err
