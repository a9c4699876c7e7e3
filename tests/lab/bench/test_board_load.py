"""The load on the board: real claims and records on a real file, of which none is refused or lost."""

from __future__ import annotations

import contextlib
from pathlib import Path

from swarm.lab.bench import board_load
from swarm.ledger.database import Ledger


def test_it_counts_what_really_happened() -> None:
    flat = board_load.measure(seconds=0.2, old=200, callers=8)
    rates, waits = ("board_ops_per_s", "board_old_ops_per_s"), ("board_p99_ms", "board_usual_p99_ms")
    assert set(flat) == {*rates, *waits, "board_open_s"}
    assert all(value and value > 0 for value in flat.values())


def test_an_old_ledger_holds_what_the_board_would_have_left(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    board_load._fill(path, 300)
    with contextlib.closing(Ledger(path, write=True)) as ledger:
        assert ledger.value("SELECT count(*) FROM experiments WHERE state = 'judged' AND status = 'discard'") == 300
        assert ledger.value("SELECT count(DISTINCT intent) FROM experiments WHERE baseline = 0") == 300
        assert ledger.value("SELECT count(*) FROM runs JOIN sources ON sources.sha = runs.source") == 300
