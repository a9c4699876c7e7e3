"""A swarm as a table for other tools: one row per experiment, or one per run. Only Parquet needs pandas, which is slow
to import."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from swarm.snapshot.records import ExperimentView, RunView, Snapshot
from swarm.views.strict_json import strict_json

if TYPE_CHECKING:
    from pandas import DataFrame

_FIRST = ("commit", "memory_gb", "status", "description", "experiment")
_TIMES = frozenset(("created", "judged", "started"))


class Table(Struct, frozen=True):
    """Rows under their columns; None where something is not known, times as unix seconds."""

    columns: Sequence[str]
    rows: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)


def experiments(snapshot: Snapshot) -> Table:
    """Every judged experiment, oldest first. The first columns are those of autoresearch's results.tsv.

    `gain` is over its parent and `low` to `high` its 95% interval, in units of the metric, above 0 where it is better;
    what is not known is missing, never 0.
    """
    judged = [view for view in snapshot.experiments if view.status]
    rows = [_row(view, snapshot.metric) for view in judged]
    return Table(list(_row(ExperimentView("", "", "", "", "", None, ""), snapshot.metric)), rows)


def runs(snapshot: Snapshot) -> Table:
    """Every run that was started, oldest first; `sha` and `parent` are commits where there are any."""
    rows = [structs.asdict(run) for run in snapshot.runs]
    return Table([*RunView.__struct_fields__], rows)


def write(table: Table, format: str, target: Path | None) -> str:
    """The table as tsv, csv, json or parquet: into the file `target`, or, where that is None, as the answer."""
    match format:
        case "parquet":
            if target is None:
                raise ValueError("parquet is no text")
            _frame(table).to_parquet(target, index=False)
            return ""
        case "json":
            text = json.dumps(_plain(table), indent=2, allow_nan=False) + "\n"
        case _:
            text = _separated(table, "\t" if format == "tsv" else ",")
    if target is not None:
        target.write_text(text, encoding="utf-8")
        return ""
    return text


def _row(view: ExperimentView, metric: str) -> dict[str, object]:
    fields = structs.asdict(view)
    name = f"{metric} (metric)" if metric in {*fields, *_FIRST} else metric  # no two columns under one name
    memory, value = fields.pop("peak_vram_mb"), fields.pop("value")
    first = {
        "commit": fields.pop("commit"),
        name: value,
        "memory_gb": None if memory is None else round(memory / 1024, 3),
        "status": fields.pop("status"),
        "description": fields.pop("title"),
    }
    return first | {"experiment": fields.pop("id")} | fields


def _separated(table: Table, separator: str) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, table.columns, delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(table))  # None is an empty cell
    return written.getvalue()


def _plain(table: Table) -> list[dict[str, Any]]:
    """The rows as texts, numbers and None; times as people and other tools read them."""
    return [
        {name: _time(row[name]) if name in _TIMES else strict_json(row[name]) for name in table.columns}
        for row in table.rows
    ]


def _time(at: float | None) -> str | None:
    """A unix time in ISO 8601, UTC; None for one that no calendar has."""
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def _frame(table: Table) -> DataFrame:
    from pandas import DataFrame, to_datetime

    frame = DataFrame(table.rows, columns=list(table.columns)).convert_dtypes()
    for name in _TIMES & set(table.columns):
        frame[name] = to_datetime(frame[name].astype("Float64"), unit="s", errors="coerce")
    return frame
