"""Earlier results on the board: shown to researchers in every briefing, never compared with what is measured here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from swarm.history.results_tsv import Row
from swarm.ledger.database import Ledger
from swarm.ledger.imported import TAG, Imported, enter_imported, newest_sequence
from swarm.novelty.intent import intent
from swarm.records import Idea, Status
from swarm.text import printable

TITLE = 200  # characters; what is longer stands in the rationale too


def import_results(ledger: Ledger, name: str, rows: Iterable[Row], metric: str, direction: str, now: float) -> int:
    """Enters the rows of the file `name`, in one transaction; gives how many were not known already.

    Each file, and in it each baseline with what follows it, is a comparability key of its own: nobody knows on which
    machine they were measured. The gain is over the best that was kept there before.
    """
    sign, new = 1 if direction == "lower" else -1, 0
    best: dict[int, float] = {}
    with ledger.transaction():
        start = newest_sequence(ledger)
        for row in rows:
            parent = best.get(row.block)
            gain = None if parent is None or row.value is None else sign * (parent - row.value)
            if row.status == Status.KEEP and row.value is not None:
                best[row.block] = row.value
            found = _imported(name, row, metric, gain, now + row.line * 1e-6)
            new += enter_imported(ledger, found, start + new + 1)
    return new


def _imported(name: str, row: Row, metric: str, gain: float | None, at: float) -> Imported:
    content = (row.commit, row.value, row.status, row.description)
    title, origin = printable(row.description), printable(name)
    number = "crashed" if row.value is None else f"{metric} {row.value:g}"
    return Imported(
        id=f"{TAG}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]}",
        origin=origin,
        key=json.dumps({"imported": origin, "baseline": row.block}),
        intent=intent(Idea(title), {}),
        title=title[:TITLE],
        rationale=title if len(title) > TITLE else "",
        status=Status(row.status),
        value=row.value,
        gain=gain,
        peak_vram_mb=row.memory_mb,
        reason=f"imported from {origin}, line {row.line}: {number}",
        at=at,
    )
