"""The verb confirm --budgets on the synthetic project: real workspaces, guards and trainings, a real ledger, no Ray."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.snapshot.read import read_snapshot
from swarm.views.report import write_report
from tests.coordinator.test_confirmation import ended  # noqa: F401  # a fixture
from tests.verbs import called


@pytest.mark.long
def test_a_ladder_is_climbed_once_shown_everywhere_and_counted_nowhere(
    ended: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    with contextlib.closing(Ledger(ledger_path(ended))) as ledger:
        before = ledger.rows("SELECT * FROM runs")
    kept = next(e.id for e in _snapshot(ended).experiments if e.status == "keep" and not e.baseline)
    words = ("confirm", "-C", str(ended), kept, "--budgets", "0.2s,0.4s", "--seeds", "2", "--agents", "2")
    done = called(*words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [rung["budget"] for rung in found["rungs"]] == [0.2, 0.4] and found["against"] == "apr5-gpu0-0000"
    assert all(rung["pairs"] == 2 and rung["gain"] > 0.002 for rung in found["rungs"])  # the edit is truly better
    assert found["verdict"] in ("holds", "shrinks", "gone", "unclear")
    assert done.stderr.count("val_bpb") == 8

    again = called(*words)
    assert again.returncode == 0 and "val_bpb 0." not in again.stderr  # nothing was run again
    assert "baseline must train" in again.stdout
    with contextlib.closing(Ledger(ledger_path(ended))) as ledger:
        assert ledger.rows("SELECT * FROM runs") == before
    snapshot = _snapshot(ended)
    (view,) = snapshot.ladders
    assert (view.experiment, [rung.pairs for rung in view.ladder.rungs]) == (kept, [2, 2])
    report, _ = write_report(snapshot, tmp_path, None, {})
    assert "## Scale ladder" in report.read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--budgets", "0.2s"), "give two or more different ones"),
        (("--budgets", "0.2s,0.2"), "give two or more different ones"),
        (("--budgets", "long,longer"), "must be a time"),
        (("--budgets", "1,2", "--seeds", "1"), "--seeds 1: give 2 to 500"),
        (("--budgets", "1,2", "--address", "auto"), "leave out --address"),
    ],
)
def test_wrong_input_is_one_line(ended: Path, flags: tuple[str, ...], said: str) -> None:  # noqa: F811
    kept = next(e.id for e in _snapshot(ended).experiments if e.status == "keep" and not e.baseline)
    done = called("confirm", "-C", str(ended), kept, *flags)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


def _snapshot(root: Path):
    with contextlib.closing(Ledger(ledger_path(root))) as ledger:
        return read_snapshot(root, ledger, "apr5")
