"""Writes report.html beside report.md."""

from __future__ import annotations

import contextlib
from pathlib import Path

from swarm.ledger.home import open_ledger
from swarm.snapshot.records import Snapshot
from swarm.web.details import DetailReader
from swarm.web.page import page


def write_page(root: Path, snapshot: Snapshot, folder: Path, usd_per_gpu_hour: float | None) -> Path:
    """Writes report.html into `folder` and returns its path. `root` is where the ledger and the repository are."""
    with contextlib.closing(open_ledger(root)) as ledger:
        details = DetailReader(root, ledger, snapshot.tag).read(snapshot)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "report.html"
    written.write_text(page(snapshot, details, usd_per_gpu_hour), encoding="utf-8", errors="replace")
    return written
