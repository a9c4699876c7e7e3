"""Git and results.tsv follow the ledger; where git refuses for a while, they follow later."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from swarm.coordinator.periodic import PeriodicTask
from swarm.history.projection import Projection
from swarm.history.repository import History
from swarm.ledger.database import Ledger
from swarm.ledger.swarms import found
from swarm.novelty.code import fingerprint
from swarm.records import Source


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "train.py").write_text("x = 1\n")
    git(tmp_path, "add", "train.py")
    git(tmp_path, "commit", "-qm", "base")
    return tmp_path


def test_a_locked_ref_and_a_full_disk_are_waited_for(root):
    history, ledger = History(root), Ledger(None)
    source = Source({"train.py": b"x = 1\n"})
    swarm = {"base_commit": history.head(), "from_tag": None, "key": "k", "device": "sim", "metric": "val_bpb"}
    swarm |= {"direction": "lower", "policy": "race", "researcher": "sweep", "budget": 1.0, "settings": "{}"}
    found(ledger, source, {"gpu0": ("sim", "x")}, fingerprint(source), 1.0, tag="apr5", **swarm)
    ledger.execute("UPDATE experiments SET state = 'judged', status = 'keep', judged = 2, verdict = 1")

    def noted(commits: dict[str, str]) -> None:
        for experiment, sha in commits.items():
            ledger.execute("UPDATE experiments SET commit_sha = ? WHERE id = ?", sha, experiment)

    told: list[str] = []
    clock = [0.0]
    projection = Projection(history, "apr5", root / ".swarm", noted)
    task = PeriodicTask("git", lambda: projection.follow(ledger), told.append, now=lambda: clock[0])
    lock = root / ".git/refs/heads/autoresearch/apr5.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    task.run()
    assert "git update-ref failed" in task.problem and len(told) == 1
    lock.unlink()
    (root / ".swarm").write_text("in the way of results.tsv, as a full disk would be")
    clock[0] += 100
    task.run()
    assert git(root, "rev-parse", "autoresearch/apr5-gpu0") == history.head() and task.problem
    (root / ".swarm").unlink()
    clock[0] += 100
    task.run()
    assert (root / ".swarm/gpu0/results.tsv").read_text().count("keep") == 1 and not task.problem
    assert told[1:] == ["git: works again"]
