"""A swarm under another policy, for people and programs: what both decide, and where the runs no longer allow it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from swarm.judge.replay import Replay, Replayed
from swarm.views.columns import Column, fitting_table
from swarm.wording.formatting import clean, plural


def summary(tag: str, own: str, policy: str, made: Replay) -> Iterator[str]:
    """What came of it in a few sentences."""
    allowed = [row for row in made.rows if row.allowed]
    kept, keeps = sum(row.kept for row in made.rows), sum(row.keeps for row in made.rows)
    yield f"{clean(tag)} ran under {own} and kept {kept} of {plural(len(made.rows), 'experiment')}"
    if not made.why:
        yield f"{policy} would have decided every one alike: its swarm would have been this one"
        return
    yield (
        f"{policy} decides the first {len(allowed)} on the same trunk; from {made.parts_at} on the runs no longer allow"
        f" it: {made.why}"
    )
    asks = sum(row.verdict.status is None and not row.given_up for row in made.rows)
    more = f", and asks for more runs of {asks}" if asks else ""
    yield f"each beside the parent that it had, {policy} keeps {keeps}{more}: the rule on these runs, not its own swarm"


def replay_table(made: Replay, policy: str, width: int) -> Table:
    """A row for each experiment."""
    columns: list[Column[Replayed]] = [
        Column("experiment", lambda row: Text(row.experiment), 1),
        Column("swarm", lambda row: Text("keep" if row.kept else "discard", "green" if row.kept else "dim"), 0),
        Column(policy, _decided, 0),
        Column("same trunk", lambda row: Text("yes" if row.allowed else "no", "" if row.allowed else "dim"), 2),
        Column("why", lambda row: Text(clean(row.verdict.reason), "dim"), 3, cells=20, stretch=1),
        Column("idea", lambda row: Text(clean(row.title)), 2, cells=16, stretch=1),
    ]
    return fitting_table(columns, made.rows, width)


def _decided(row: Replayed) -> Text:
    style = "" if row.agrees else "bold yellow"
    return Text(str(row.verdict.status or ("given up" if row.given_up else "more runs")), style)


def replay_json(tag: str, own: str, policy: str, made: Replay) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "tag": tag,
        "policy": own,
        "replayed": policy,
        "parts_at": made.parts_at or None,
        "why": made.why,
        "experiments": [
            {
                "experiment": row.experiment,
                "description": row.title,
                "kept": row.kept,
                "status": row.verdict.status,
                "gain": row.verdict.gain,
                "reason": row.verdict.reason,
                "allowed": row.allowed,
            }
            for row in made.rows
        ],
    }
