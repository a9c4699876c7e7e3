"""The board's process where the ledger cannot be used for a while: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from swarm.coordinator import actors
from swarm.coordinator.actors import BoardActor, patiently
from swarm.errors import Fenced, Unavailable
from swarm.ledger.database import Ledger


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BoardActor:
    monkeypatch.setattr(actors, "end_with_parent", lambda: None)  # this process stays
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, write=True)
    ledger.insert(
        "swarms", tag="apr5", started=1.0, status="running", base_commit="", base_source="", key="", device="sim",
        metric="val_bpb", direction="lower", policy="race", researcher="sweep", budget=1.0, settings="{}",
    )  # fmt: skip
    ledger.close()
    return BoardActor(str(path), "apr5", str(tmp_path / "program.md"), actors.clock_start())


def _asked(board: BoardActor, method: str, *arguments: object) -> Any:
    return asyncio.run(board.call(method, *arguments))


def test_a_full_disk_refuses_and_passes(board):
    """RLIMIT_FSIZE: every write beyond it fails, as on a full disk."""
    _asked(board, "tell", "before")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(Unavailable, match="the ledger cannot be used"):
            _asked(board, "tell", "meanwhile")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    _asked(board, "tell", "after")
    with sqlite3.connect(board._path) as ledger:
        assert [text for (text,) in ledger.execute("SELECT text FROM notes")] == ["before", "after"]


def test_while_a_predecessor_holds_the_ledger_it_is_only_unavailable(board):
    with_lock = Ledger(board._path, write=True)
    with pytest.raises(Unavailable, match="already running"):
        _asked(board, "expire")
    with_lock.close()
    assert _asked(board, "expire") == []


def test_patience_repeats_the_same_request_and_no_refusal():
    asked = []

    async def call(method: str, *arguments: object, **keywords: object) -> str:
        asked.append((method, arguments, keywords))
        if len(asked) < 3:
            raise Unavailable("full")
        return "kept"

    assert asyncio.run(patiently(call, "record", 1, request="r1")) == "kept"
    assert asked == [("record", (1,), {"request": "r1"})] * 3

    async def refuse(method: str) -> str:
        asked.append(method)
        raise Fenced("not yours")

    with pytest.raises(Fenced):
        asyncio.run(patiently(refuse, "renew"))
    assert asked[3:] == ["renew"]


def test_what_people_wrote_may_be_unreadable(tmp_path):
    path = tmp_path / "program.md"
    path.write_bytes(b"smaller \xff batches")
    assert actors._read_text(path) == "smaller ÿ batches"  # as latin-1
    assert actors._read_text(tmp_path) == actors._read_text(tmp_path / "missing") == ""


def test_the_night_goes_on_evenly_whatever_the_clock_says(board, monkeypatch):
    monkeypatch.setattr(actors.time, "time", lambda: 4e9)
    _asked(board, "warn", "head", "now")
    with sqlite3.connect(board._path) as ledger:
        [(at,)] = ledger.execute("SELECT at FROM events")
    monkeypatch.undo()
    assert abs(at - actors.time.time()) < 60
