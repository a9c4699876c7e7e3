"""Nights under different comparability keys stand in groups of their own."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from swarm.ledger.database import Ledger
from swarm.ledger.swarms import found
from swarm.ledger.transaction import of_swarm
from swarm.records import Source
from swarm.snapshot.build import Picture
from swarm.snapshot.records import Snapshot
from swarm.views.comparable_swarms import swarms_markdown, unranked_line
from swarm.views.status import render_status, status_json

BASE = Source({"train.py": b"depth = 8\n"})


def enter(ledger: Ledger, tag: str, device: str, value: float, budget: float = 300.0) -> None:
    """A night on `device` whose untouched code measured `value`."""
    key = json.dumps({"device": device, "budget": budget})
    columns = {"base_commit": "0" * 40, "from_tag": None, "key": key, "device": device, "metric": "val_bpb"}
    columns |= {"direction": "lower", "policy": "race", "researcher": "sweep", "budget": budget, "settings": "{}"}
    found(ledger, BASE, {"gpu0": (device, "optimizer")}, BASE.sha + tag, 1.0, tag=tag, **columns)
    ledger.insert(
        "runs", id=f"{tag}-gpu0-0000.1", attempt=1, tag=tag, experiment=f"{tag}-gpu0-0000", agent="gpu0",
        purpose="baseline", seed=1, source=BASE.sha, parent=BASE.sha, state="measured", fence=1, started=1.0,
        value=value, audited=1, seconds=300.0,
    )  # fmt: skip


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """apr4 and apr6 on an H200, apr5 and a shorter apr7 on an A100; seen from apr6."""
    ledger = Ledger(tmp_path / "ledger.sqlite", write=True)
    for tag, device, value in (
        ("apr4", "cuda: H200", 0.98),
        ("apr5", "cuda: A100", 0.90),
        ("apr6", "cuda: H200", 0.97),
    ):
        enter(ledger, tag, device, value)
    enter(ledger, "apr7", "cuda: A100", 0.99, budget=60.0)
    return Picture(ledger, of_swarm(ledger, "apr6").swarm).snapshot(str(tmp_path), 1.0)


def test_each_key_has_its_own_ranking_and_the_own_one_comes_first(snapshot: Snapshot) -> None:
    assert [(night.tag, night.best, night.differs) for night in snapshot.swarms] == [
        ("apr6", 0.97, ()),
        ("apr4", 0.98, ()),
        ("apr5", 0.90, ("device",)),  # a lower number, on another GPU: no place above
        ("apr7", 0.99, ("budget", "device")),
    ]
    told = {night["tag"]: night["comparable"] for night in status_json(snapshot)["nights"]}
    assert told == {"apr6": True, "apr4": True, "apr5": False, "apr7": False}


def test_views_say_so(snapshot: Snapshot) -> None:
    assert unranked_line(snapshot).startswith("2 other swarms not ranked with this one (different budget, device)")
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render_status(snapshot))
    printed = console.export_text()
    places = [printed.index(text) for text in ("cuda: H200, 300 s a run\n", "apr6 (this one)", "apr4", "apr5", "apr7")]
    assert places == sorted(places)
    assert "cuda: A100, 300 s a run; not compared with the above (different device)" in printed
    assert swarms_markdown(snapshot).count("| swarm") == 3
