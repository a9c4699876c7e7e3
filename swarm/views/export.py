"""A swarm as a data frame for other tools: one row per experiment, or one per run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.snapshot.records import ExperimentView, RunView, Snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

_TIMES = ("created", "judged", "started")


def experiments(snapshot: Snapshot) -> DataFrame:
    """Every judged experiment, oldest first. The first columns are those of autoresearch's results.tsv.

    `gain` is over its parent and `low` to `high` its 95% interval, in units of the metric, above 0 where it is better;
    what is not known is missing, never 0.
    """
    judged = [view for view in snapshot.experiments if view.status]
    rows = [_row(view, snapshot.metric) for view in judged]
    return _frame(rows, list(_row(ExperimentView("", "", "", "", "", None, ""), snapshot.metric)))


def runs(snapshot: Snapshot) -> DataFrame:
    """Every run that was started, oldest first; `sha` and `parent` are commits where there are any."""
    rows = [dataclasses.asdict(run) for run in snapshot.runs]
    return _frame(rows, [field.name for field in dataclasses.fields(RunView)])


def write(frame: DataFrame, format: str, target: Path | None) -> str:
    """The table as tsv, csv, json or parquet: into the file `target`, or, where that is None, as the answer."""
    match format:
        case "parquet":
            if target is None:
                raise ValueError("parquet is no text")
            frame.to_parquet(target, index=False)
            return ""
        case "json":
            text = (frame.to_json(orient="records", date_format="iso", double_precision=15, indent=2) or "") + "\n"
        case _:
            text = frame.to_csv(sep="\t" if format == "tsv" else ",", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    if target is not None:
        target.write_text(text, encoding="utf-8")
        return ""
    return text


def _row(view: ExperimentView, metric: str) -> dict[str, object]:
    fields = dataclasses.asdict(view)
    memory, value = fields.pop("peak_vram_mb"), fields.pop("value")
    first = {
        "commit": fields.pop("commit"),
        metric: value,
        "memory_gb": None if memory is None else round(memory / 1024, 3),
        "status": fields.pop("status"),
        "description": fields.pop("title"),
    }
    return first | {"experiment": fields.pop("id")} | fields


def _frame(rows: list[dict[str, object]], columns: list[str]) -> DataFrame:
    from pandas import DataFrame, to_datetime

    frame = DataFrame(rows, columns=columns).convert_dtypes()
    for name in set(_TIMES) & set(columns):
        frame[name] = to_datetime(frame[name].astype("Float64"), unit="s", errors="coerce")
    return frame
