"""A swarm's folder has one head, and a launch that fails takes nothing with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from swarm.coordinator.founding import take_folder
from swarm.coordinator.head import Swarm
from swarm.errors import UsageError
from swarm.history.repository import History
from swarm.lab.simulation.project import make_project
from swarm.launch.plan import make_plan
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path, make_home
from swarm.project.settings import Config


def test_a_second_head_is_refused_and_what_was_asked_of_the_first_stays(tmp_path: Path) -> None:
    folder = tmp_path / ".swarm" / "apr5"
    with take_folder(folder):
        (folder / "stop").write_text("drain")
        with pytest.raises(UsageError, match=r"apr5 is running, led by process \d+ .*swarm watch"):
            take_folder(folder)
        assert (folder / "stop").exists()
    take_folder(folder).close()
    assert not (folder / "stop").exists(), "that was said to a head which is gone"


def test_where_the_ledger_is_another_writers_the_tag_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.ledger.database.LOCK_WAIT", 0.1)
    root = make_project(tmp_path / "project")
    plan = make_plan(root, Config(tag="apr5", device="sim", agents=1, researcher="sweep"))
    make_home(root / ".swarm")
    ledger = Ledger(ledger_path(root), write=True)
    with pytest.raises(UsageError):
        Swarm(plan).start()
    assert History(root).branches() == []
    ledger.close()
    take_folder(plan.folder).close()  # nobody leads it
    assert make_plan(root, plan.config).tag == "apr5"


def test_a_branch_that_somebody_moved_is_not_given_back(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    history = History(root)
    [base] = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    history.reserve("apr5", base)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "more"], cwd=root, check=True)
    subprocess.run(["git", "update-ref", "refs/heads/autoresearch/apr5", "HEAD"], cwd=root, check=True)
    history.give_back("apr5", base)
    assert history.branches() == ["autoresearch/apr5"]
