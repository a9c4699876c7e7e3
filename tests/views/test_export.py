"""A swarm as a table, in every format, read back by what people read it with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm import cli
from swarm.snapshot.records import Snapshot
from swarm.views.export import experiments, runs, write


def test_every_format_holds_every_judged_experiment(make_swarm: Callable[..., Snapshot], tmp_path: Path) -> None:
    import pandas  # 1 s, and every test process collects every file

    snapshot = make_swarm()
    judged = [view for view in snapshot.experiments if view.status]
    frame = experiments(snapshot)
    tables = [
        pandas.read_csv(io.StringIO(write(frame, "tsv", None)), sep="\t"),
        pandas.read_csv(io.StringIO(write(frame, "csv", None))),
        pandas.DataFrame(json.loads(write(frame, "json", None))),
    ]
    assert write(frame, "parquet", tmp_path / "swarm.parquet") == ""
    for table in (*tables, pandas.read_parquet(tmp_path / "swarm.parquet")):
        assert list(table.columns[:5]) == ["commit", snapshot.metric, "memory_gb", "status", "description"]
        assert list(table["experiment"]) == [view.id for view in judged]
        assert [None if pandas.isna(v) else round(v, 9) for v in table[snapshot.metric]] == [
            None if view.value is None else round(view.value, 9) for view in judged
        ]
    assert any(view.value is None for view in judged)  # a crash has no number, and no 0 either


def test_a_swarm_without_experiments_still_has_its_columns(quiet_swarm: Snapshot) -> None:
    from msgspec.structs import replace

    empty = experiments(replace(quiet_swarm, experiments=()))
    assert len(empty) == 0 and "description" in empty.columns
    assert list(runs(quiet_swarm).columns[:2]) == ["id", "attempt"]


def test_one_row_a_run(make_swarm: Callable[..., Snapshot], tmp_path: Path) -> None:
    import pandas

    snapshot = make_swarm()
    assert write(runs(snapshot), "csv", tmp_path / "runs.csv") == ""
    table = pandas.read_csv(tmp_path / "runs.csv")
    assert list(table["id"]) == [run.id for run in snapshot.runs] and {"seed", "purpose"} <= set(table.columns)


@pytest.mark.parametrize(
    ("flags", "message"),
    [(["--format", "xls"], "--format xls: it is one of tsv"), (["--format", "parquet"], "name a file with --output")],
)
def test_bad_input(flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    assert cli.main(["export", "-C", str(tmp_path), *flags]) == 2
    assert message in capsys.readouterr().err
