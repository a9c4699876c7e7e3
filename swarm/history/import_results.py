"""Earlier results on the board: shown to researchers in every briefing, never compared with what is measured here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from swarm.history.results_tsv import Row
from swarm.ledger.database import Ledger
from swarm.novelty.intent import intent
from swarm.records import Idea
from swarm.text import printable

TAG = "import"  # of all imported experiments; no swarm has that name, so that nothing ranks or resumes them


def bring_in(ledger: Ledger, name: str, rows: Iterable[Row], metric: str, direction: str, now: float) -> int:
    """Enters the rows of the file `name`, in one transaction; gives how many were not known already.

    Each file, and in it each baseline with what follows it, is a comparability key of its own: nobody knows on which
    machine they were measured. The gain is over the best that was kept there before.
    """
    sign, new = 1 if direction == "lower" else -1, 0
    best: dict[int, float] = {}
    with ledger.transaction():
        start = ledger.value("SELECT max(sequence) FROM experiments WHERE tag = ?", TAG) or 0
        for row in rows:
            parent = best.get(row.block)
            gain = None if parent is None or row.value is None else sign * (parent - row.value)
            if row.status == "keep" and row.value is not None:
                best[row.block] = row.value
            new += _enter(ledger, name, row, metric, gain, start + new + 1, now + row.line * 1e-6)
    return new


def _enter(ledger: Ledger, name: str, row: Row, metric: str, gain: float | None, sequence: int, at: float) -> bool:
    """One row as a judged experiment with one run; False where the ledger has it."""
    told = (row.commit, row.value, row.status, row.description)
    id = f"{TAG}-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}"
    if ledger.value("SELECT 1 FROM experiments WHERE id = ?", id):
        return False
    title, origin = printable(row.description), printable(name)
    number = "crashed" if row.value is None else f"{metric} {row.value:g}"
    common = {"tag": TAG, "agent": origin, "source": id, "parent": ""}
    ledger.insert(
        "experiments",
        id=id,
        owner=origin,
        sequence=sequence,
        state="judged",
        key=json.dumps({"imported": origin, "baseline": row.block}),
        intent=intent(Idea(title), {}),
        title=title[:200],
        rationale=title if len(title) > 200 else "",
        category="imported",
        knobs="{}",
        position=0,
        status=row.status,
        gain=gain,
        n=int(row.value is not None),
        failure="code" if row.status == "crash" else None,
        reason=f"imported from {origin}, line {row.line}: {number}",
        created=at,
        judged=at,
        **common,
    )
    measured = {"state": "crashed"} if row.value is None else {"state": "measured", "value": row.value, "audited": 0}
    ledger.insert(
        "runs",
        id=f"{id}.1",
        attempt=1,
        experiment=id,
        purpose="first",
        seed=0,
        fence=0,
        started=at,
        peak_vram_mb=row.memory_mb,
        **measured,
        **common,
    )
    return True
