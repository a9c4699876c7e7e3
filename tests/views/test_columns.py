"""Tables fit their terminal, and what is cut is never what a person has to type."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from swarm.snapshot.records import Snapshot
from swarm.views.columns import UNBOUNDED, Column, fitting_table
from swarm.views.experiment import render_experiment
from swarm.views.export import experiments
from swarm.views.leaderboard import render
from swarm.views.status import render_status
from swarm.wording.formatting import Scale, keep_remedy


def drawn(what: object, width: int, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined]


@given(st.text(max_size=300), st.integers(1, 120))
def test_the_middle_of_a_message_gives_way_to_its_remedy(text: str, cells: int) -> None:
    message = f"{' '.join(text.split())}: see `python -m swarm ls`"
    kept = keep_remedy(message, cells)
    assert cell_len(kept) <= cells
    if cells >= 50:
        assert kept.endswith("see `python -m swarm ls`")


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_a_long_warning_ends_with_its_remedy(width: int, make_swarm: Callable[..., Snapshot]) -> None:
    warning = f"{'this machine has a fault of many words ' * 20}: `python -m swarm doctor` says more"
    snapshot = replace(make_swarm(), warnings=(warning,))
    for picture in (drawn(render(snapshot, width, 24), width, 24), drawn(render_status(snapshot), width)):
        assert "`python -m swarm doctor` says more" in " ".join(picture.split())
        assert max(map(cell_len, picture.splitlines())) <= width


@pytest.mark.parametrize("metric", ["seconds", "purpose", "status", "n", "run", "commit", "title", "gain"])
def test_a_metric_may_be_called_as_a_column(metric: str, make_swarm: Callable[..., Snapshot]) -> None:
    snapshot = replace(make_swarm(), metric=metric)
    view = next(e for e in snapshot.experiments if e.status == "keep" and e.value is not None)
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    scale = Scale.of(snapshot)
    table = fitting_table(
        [Column("n", lambda r: Text("1"), 0), Column("n", lambda r: Text("2"), 1, foreign=True)], [0], 80
    )
    assert [column.header for column in table.columns] == ["n", "n (metric)"]
    shown = drawn(render_experiment(view, runs, "", "", scale), 300)
    [headings] = [line for line in shown.splitlines() if line.startswith("run ") and "seed" in line]
    named = headings.replace("hidden split", "hidden").replace(" (metric)", "(metric)").split()
    assert len(set(named)) == len(named) and scale.value(runs[0].metric) in shown
    exported = experiments(snapshot)
    assert len(set(exported.columns)) == len(exported.columns)
    [row] = [row for row in exported.rows if row["experiment"] == view.id]
    assert view.value in row.values() and row["n"] in (view.n, view.value) and row["status"] == "keep"


def test_nothing_is_cropped_where_there_is_no_screen(make_swarm: Callable[..., Snapshot]) -> None:
    snapshot = make_swarm()
    long = replace(snapshot.experiments[-1], title="a title " * 30 + "with an end", id="apr5-gpu0-9999", judged=9e9)
    snapshot = replace(snapshot, experiments=(*snapshot.experiments, replace(long, status="discard", state="judged")))
    text = drawn(render_status(snapshot), UNBOUNDED * 10)
    assert "with an end" in text and "gpu0-9999" in text
    assert "with an end" not in drawn(render_status(snapshot), 80) and "gpu0-9999" in drawn(render_status(snapshot), 80)
    diff = "--- a/x\n+++ b/x\n" + "+" + "x" * 500
    assert "+" + "x" * 500 in drawn(render_experiment(long, [], diff, ""), UNBOUNDED * 10)
    at80 = drawn(render_experiment(long, [], diff, ""), 80)
    assert "x" * 500 in at80.replace("\n", ""), "folded, never cut"
