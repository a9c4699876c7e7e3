"""The invariants of a chaos drill: a sound swarm breaks none, and each kind of damage is reported by its name."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from swarm.lab.chaos.invariants import Broken, check


@pytest.fixture
def copy(finished_night: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished_night, tmp_path / "project")


@contextlib.contextmanager
def ledger(root: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(root / ".swarm" / "ledger.sqlite")) as connection, connection:
        yield connection


def broken(root: Path) -> dict[str, tuple[str, ...]]:
    return {name: what for name, what in asdict(check(root, "apr5")).items() if what}


def test_a_sound_swarm_has_nothing_broken(finished_night):
    assert check(finished_night, "apr5") == Broken((), (), (), (), ())


@pytest.mark.parametrize(
    "name, spoil",
    [
        ("lost", "UPDATE experiments SET state = 'testing' WHERE id = 'apr5-gpu0-0001'"),
        ("lost", "UPDATE experiments SET state = 'abandoned', reason = '' WHERE id = 'apr5-gpu0-0001'"),
        ("lost", "DELETE FROM runs WHERE id = 'apr5-gpu0-0001.1'"),
        ("counted_twice", "DROP INDEX one_result_per_run; CREATE TEMP TABLE twice AS SELECT * FROM runs;"
         " UPDATE twice SET attempt = 2; INSERT INTO runs SELECT * FROM twice WHERE id = 'apr5-gpu0-0001.1'"),
        ("stuck_claims", "UPDATE experiments SET state = 'claimed' WHERE id = 'apr5-gpu0-0001'"),
        ("stuck_claims", "UPDATE runs SET state = 'running' WHERE id = 'apr5-gpu0-0001.1'"),
        ("duplicates_run", "UPDATE experiments SET intent = 'the same' WHERE baseline = 0"),
        ("refs_wrong", "UPDATE experiments SET commit_sha = NULL WHERE id = 'apr5-gpu0-0001'"),
        ("refs_wrong", "UPDATE runs SET value = value - 0.01 WHERE id = 'apr5-gpu0-0001.1'"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_ledger_is_seen(copy, name, spoil):
    with ledger(copy) as connection:
        connection.executescript(spoil)
    assert name in broken(copy)


@pytest.mark.parametrize(
    "command", ["update-ref -d refs/experiments/apr5-gpu0-0001", "update-ref refs/heads/autoresearch/apr5-gpu0 HEAD~0"]
)
def test_what_is_wrong_in_git_is_seen(copy, command):
    subprocess.run(["git", *command.split()], cwd=copy, check=True)
    with ledger(copy) as connection:
        kept = connection.execute("SELECT position FROM agents").fetchone()[0]
    assert "refs_wrong" in broken(copy) or ("gpu0 HEAD" in command and kept == 0)


def test_a_row_of_results_that_is_there_twice_is_seen(copy):
    path = copy / ".swarm/apr5/gpu0/results.tsv"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    assert {"counted_twice", "refs_wrong"} <= broken(copy).keys()
