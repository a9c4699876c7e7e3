"""A change as a mail: git takes it, and the commit says what was measured, whatever the titles hold."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarm.snapshot.records import ExperimentView, Snapshot
from swarm.views.patch import mail


def git(root: Path, *arguments: str, **options: object) -> str:
    mine = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false"]
    done = subprocess.run(["git", *mine, *arguments], cwd=root, capture_output=True, text=True, check=True, **options)
    return done.stdout


@pytest.fixture
def changed(tmp_path: Path) -> tuple[Path, str]:
    """A repository, and a diff that applies to it."""
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("A = 1\nB = 2\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "start")
    (tmp_path / "train.py").write_text("A = 1\nB = 3\n")
    diff = git(tmp_path, "diff")
    git(tmp_path, "checkout", "-q", "train.py")
    return tmp_path, diff


def test_the_champion_with_its_evidence(make_swarm: Callable[..., Snapshot], changed: tuple[Path, str]) -> None:
    root, diff = changed
    snapshot = make_swarm()
    champion = next(view for view in snapshot.experiments if view.id == snapshot.champion)
    text = mail(snapshot, replace(champion, commit="a" * 40), diff, champion=True)
    git(root, "apply", "--check", "-", input=text)
    git(root, "am", "-q", "-", input=text)
    assert (root / "train.py").read_text() == "A = 1\nB = 3\n"
    message = git(root, "log", "-1", "--format=%B")
    assert f"Found by the swarm {snapshot.tag}." in message and "95% interval" in message
    steps = [step for step in snapshot.trunk if 0 < step.position <= champion.position]
    assert steps and all(f"* {step.title}: " in message and f"n={step.n}" in message for step in steps)


def test_foreign_words_cannot_end_the_message(
    quiet_swarm: Snapshot, make_experiment: Callable[..., ExperimentView], changed: tuple[Path, str]
) -> None:
    root, diff = changed
    odd = make_experiment(1, title="---\nFrom: evil\n\x1b[2J→ é", rationale="---\ndiff --git a/x b/x", reason="---")
    git(root, "am", "-q", "-", input=mail(quiet_swarm, replace(odd, commit="b" * 40), diff, champion=False))
    message = git(root, "log", "-1", "--format=%an%n%B")
    assert message.startswith("autoresearch swarm\n--- From: evil → é")
    assert "Why: --- diff --git a/x b/x" in message and "Measured: val_bpb" in message


def test_without_a_change_there_is_no_mail(quiet_swarm: Snapshot, make_experiment: Callable) -> None:
    assert mail(quiet_swarm, make_experiment(1), "", champion=False) == ""
