"""A night as a table, in every format, read back by what people read it with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from swarm import cli
from swarm.snapshot.records import Snapshot
from swarm.views.export import experiments, runs, write


def test_every_format_holds_every_judged_experiment(make_night: Callable[..., Snapshot], tmp_path: Path) -> None:
    night = make_night()
    judged = [view for view in night.experiments if view.status]
    frame = experiments(night)
    tables = [
        pandas.read_csv(io.StringIO(write(frame, "tsv", None)), sep="\t"),
        pandas.read_csv(io.StringIO(write(frame, "csv", None))),
        pandas.DataFrame(json.loads(write(frame, "json", None))),
    ]
    assert write(frame, "parquet", tmp_path / "night.parquet") == ""
    for table in (*tables, pandas.read_parquet(tmp_path / "night.parquet")):
        assert list(table.columns[:5]) == ["commit", night.metric, "memory_gb", "status", "description"]
        assert list(table["experiment"]) == [view.id for view in judged]
        assert [None if pandas.isna(v) else round(v, 9) for v in table[night.metric]] == [
            None if view.value is None else round(view.value, 9) for view in judged
        ]
    assert any(view.value is None for view in judged)  # a crash has no number, and no 0 either


def test_a_night_without_experiments_still_has_its_columns(quiet_night: Snapshot) -> None:
    from dataclasses import replace

    empty = experiments(replace(quiet_night, experiments=()))
    assert len(empty) == 0 and "description" in empty.columns
    assert list(runs(quiet_night).columns[:2]) == ["id", "attempt"]


def test_one_row_a_run(make_night: Callable[..., Snapshot], tmp_path: Path) -> None:
    night = make_night()
    assert write(runs(night), "csv", tmp_path / "runs.csv") == ""
    table = pandas.read_csv(tmp_path / "runs.csv")
    assert list(table["id"]) == [run.id for run in night.runs] and {"seed", "purpose"} <= set(table.columns)


@pytest.mark.parametrize(
    ("flags", "told"),
    [(["--format", "xls"], "--format xls: it is one of tsv"), (["--format", "parquet"], "give a file with --output")],
)
def test_bad_input(flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    assert cli.main(["export", "-C", str(tmp_path), *flags]) == 2
    assert told in capsys.readouterr().err
