"""Earlier results on the board: shown to researchers in every briefing, never compared with what is measured here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from swarm.history.earlier import Aside, Row
from swarm.history.results_jsonl import goals_of_lines, metrics_of_lines, read_lines
from swarm.history.results_tsv import metrics_of_table, read_table
from swarm.ledger.database import Ledger
from swarm.ledger.imported import SHORT, TAG, Imported, enter_imported, newest_sequence, own_commits
from swarm.novelty.intent import intent
from swarm.records import Idea, Status
from swarm.text import printable, read_text

TITLE = 200  # characters; what is longer stands in the rationale too


def read_results(data: bytes, metric: str) -> tuple[tuple[Row, ...], tuple[Aside, ...]]:
    """The experiments of a file whose metric is the wanted one, and the lines that were not understood."""
    text = read_text(data).text
    return read_lines(text, metric) if _is_lines(text) else read_table(text, metric)


def metrics_in(data: bytes) -> dict[str, str]:
    """What the file may measure, each with its direction: "lower", "higher" or "" where it is not said."""
    text = read_text(data).text
    return metrics_of_lines(text) if _is_lines(text) else metrics_of_table(text)


def goals_in(data: bytes) -> tuple[str, ...]:
    """The metrics that the file itself says are optimised; () where it does not say."""
    text = read_text(data).text
    return goals_of_lines(text) if _is_lines(text) else ()


def _is_lines(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith("{")


def import_results(ledger: Ledger, name: str, rows: Iterable[Row], metric: str, direction: str, now: float) -> int:
    """Enters the rows of the file `name`, in one transaction; gives how many were not known already.

    Each file, and in it each baseline with what follows it, is a comparability key of its own: nobody knows on which
    machine they were measured. The gain is over the best that was kept there before; where `direction` is neither
    "lower" nor "higher", nothing is said of it.
    """
    sign, new = {"lower": 1, "higher": -1}.get(direction), 0
    own = own_commits(ledger)
    best: dict[int, float] = {}
    with ledger.transaction():
        start = newest_sequence(ledger)
        for row in rows:
            if row.commit[:SHORT] in own:  # a file of this very repository's swarms
                continue
            parent = best.get(row.block)
            gain = None if parent is None or row.value is None or sign is None else sign * (parent - row.value)
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
