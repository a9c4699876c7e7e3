"""A ledger of format 5, as version 0.1.0 of commit 4c6d0c6 left it after a swarm, is opened, read, and gone on with.

python -m pytest tests/ledger/test_migration.py

In it four reasons were replaced by others that that version wrote, so that every outcome it knew by its words is there.
"""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from swarm.board.board import Board
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiment, experiments
from swarm.ledger.home import ledger_path
from swarm.ledger.run_results import newest_result
from swarm.ledger.schema import OLDEST, VERSION
from swarm.ledger.swarms import reopen
from swarm.records import Idea, Measure, Outcome, Status
from swarm.snapshot.read import read_snapshot
from tests.verbs import called

STORED = Path(__file__).parent / "data" / "format-5.sqlite.gz"
COMMITS = Path(__file__).parent / "data" / "format-5.bundle"  # of the repository that the swarm worked on
OUTCOMES = {
    "apr5-gpu0-0000": Outcome.BASELINE,
    "apr5-gpu0-0001": Outcome.GAINED,
    "apr5-gpu0-0003": Outcome.NO_GAIN,
    "apr5-gpu0-0004": Outcome.NEAR_MISS,
    "apr5-gpu0-0006": Outcome.BROKE_GUARD,
    "apr5-gpu1-0003": Outcome.SIMPLER,
    "apr5-gpu1-0004": Outcome.NO_EFFECT,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with that ledger."""
    path = ledger_path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(STORED.read_bytes()))
    return tmp_path


@pytest.fixture
def repository(root: Path) -> Path:
    """The same with the repository's commits and branches."""
    for words in (
        ["init", "--quiet"],
        ["fetch", "--quiet", str(COMMITS), "refs/*:refs/*", "--update-head-ok"],
        ["checkout", "--quiet", "-f", "main"],
    ):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    return root


def swarm(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "swarm", *words, "-C", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def outcomes(ledger: Ledger) -> dict[str, Outcome | None]:
    return {name: experiment(ledger, name).outcome for name in OUTCOMES}


def test_its_next_writer_brings_it_up_to_date(root: Path) -> None:
    path = ledger_path(root)
    with closing(Ledger(path, write=True)) as ledger:
        assert ledger.value("PRAGMA user_version") == VERSION > OLDEST
        assert outcomes(ledger) == OUTCOMES
        run = newest_result(ledger, "apr5-gpu0-0001")
        assert run and run.metrics and run.metrics.value == pytest.approx(0.99, abs=0.02) and run.trace
    with closing(Ledger(path, write=True)) as again:
        assert outcomes(again) == OUTCOMES


def test_a_reader_changes_nothing(root: Path) -> None:
    before = ledger_path(root).read_bytes()
    with closing(Ledger(ledger_path(root))) as ledger:
        assert outcomes(ledger) == OUTCOMES
        snapshot = read_snapshot(root, ledger, "apr5")
    assert ledger_path(root).read_bytes() == before
    assert (snapshot.status, snapshot.champion, len(snapshot.experiments)) == ("finished", "apr5-gpu1-0003", 12)
    assert snapshot.headline and snapshot.headline.gain == pytest.approx(0.0089, abs=0.0001)


def test_a_reader_follows_a_swarm_of_the_version_that_wrote_it(root: Path) -> None:
    with closing(sqlite3.connect(ledger_path(root))) as writer, closing(Ledger(ledger_path(root))) as ledger:
        before = read_snapshot(root, ledger, "apr5")
        assert read_snapshot(root, ledger, "apr5").experiments is before.experiments, "nothing changed: nothing is read"
        writer.execute("UPDATE experiments SET title = 'another title' WHERE id = 'apr5-gpu0-0001'")
        writer.commit()
        titles = {view.id: view.title for view in read_snapshot(root, ledger, "apr5").experiments}
    assert titles["apr5-gpu0-0001"] == "another title"


def test_the_swarm_goes_on(root: Path) -> None:
    with closing(Ledger(ledger_path(root), write=True)) as ledger:
        known = len(experiments(ledger, "apr5"))
        reopen(ledger, "apr5", {"gpu0": ("sim", "batch")}, 2e9, None, 30, "sweep", "{}")
        board = Board(ledger, "apr5")
        fence = board.join("gpu0", request="1")
        briefing = board.briefing("gpu0")
        assert len(briefing.findings) == 10 and briefing.position == 5
        assert {finding.standing for finding in briefing.findings} >= {"kept", "near miss", "no-op"}
        board.claim("gpu0", fence, Idea("something new"), briefing.position, request="2")
        assert len(experiments(ledger, "apr5")) == known + 1
        work = board.next_work("gpu0", fence, request="3")
        assert not isinstance(work, Measure)  # its idea has no code yet


@pytest.mark.parametrize("verb", [["status"], ["report"], ["show", "champion"]])
def test_the_verbs_that_look_show_it(repository: Path, verb: list[str]) -> None:
    shown = called(verb[0], "-C", str(repository), *verb[1:])
    assert shown.returncode == 0, shown.stderr
    assert "DEPTH 9 -> 10" in shown.stdout + "".join(path.read_text() for path in repository.rglob("report.md"))


@pytest.mark.slow
def test_it_is_resumed(repository: Path) -> None:
    done = swarm(repository, "launch", "--tag", "apr5", "--resume", "--max-experiments", "12")
    assert done.returncode == 0, done.stdout + done.stderr
    with closing(Ledger(ledger_path(repository))) as ledger:
        judged = [row for row in experiments(ledger, "apr5") if row.status and not row.baseline and not row.restores]
        assert len(judged) == 12
        assert all(row.outcome for row in judged)


def test_what_a_ledger_of_format_5_kept_stays_kept(root: Path) -> None:
    with closing(Ledger(ledger_path(root), write=True)) as ledger:
        kept = [row for row in experiments(ledger, "apr5") if row.status is Status.KEEP and not row.baseline]
        assert [row.position for row in sorted(kept, key=lambda row: row.position)] == [1, 2, 3, 4, 5]
