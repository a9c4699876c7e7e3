"""Logs of other hosts: they come to the head as they grow, whole and in order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarm.coordinator import log_shipping
from swarm.coordinator.log_shipping import LogChunk, LogShipper, store


def write(path: Path, text: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(text)
    return path


def carry(source: LogShipper, head: Path) -> int:
    chunks = 0
    while chunk := source.next():
        store(head, chunk)
        store(head, chunk)  # an answer may come twice
        chunks += 1
    return chunks


def test_what_grows_there_grows_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_shipping, "MOST", 10)
    there, here = tmp_path / "there", tmp_path / "here"
    os.utime(write(there / "logs/old.log", b"before it came"), (1, 1))
    source = LogShipper(there)
    assert source.next() is None
    log = write(there / "logs/a.log", b"step 1\rstep 2\n")
    write(there / "transcripts/a.md", b"thought")
    write(there / "run/train.py", b"not this")
    assert carry(source, here) == 3
    write(log, b"step 3\n")
    assert carry(source, here) == 1
    assert (here / "logs/a.log").read_bytes() == log.read_bytes()
    assert (here / "transcripts/a.md").read_bytes() == b"thought"
    assert sorted(path.name for path in here.rglob("*.*")) == ["a.log", "a.md"]


@pytest.mark.parametrize("name", ["results.tsv", "logs/../../ledger.sqlite", "/etc/passwd", "run/train.py"])
def test_nothing_else_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError):
        store(tmp_path, LogChunk(name, 0, b"x"))
    assert not list(tmp_path.iterdir())
