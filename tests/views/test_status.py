"""A swarm in short, for people and as strict JSON."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from swarm.cli.output import PIPED
from swarm.views.status import render_status, status_json


def test_status_is_short_and_fits(make_swarm, draw):
    drawn = draw(render_status(make_swarm(3, now=4.0)), 80, 24).rstrip("\n").split("\n")
    assert max(map(cell_len, drawn)) <= 80
    assert len(drawn) < 24
    assert sum(line.startswith("gpu") for line in drawn) == 3 + 5
    assert "program.md" not in "".join(drawn)


def test_in_a_pipe_nothing_is_cropped_and_no_column_is_wider_than_what_stands_in_it(make_swarm, draw):
    lines = draw(render_status(make_swarm(3, now=4.0)), PIPED, 24).split("\n")
    assert "…" not in "".join(lines)
    assert not any(" " * 60 in line.rstrip() for line in lines)


def test_status_json_has_what_is_promised(make_swarm):
    snapshot = make_swarm(4, now=6.0)
    status = status_json(snapshot)
    assert json.loads(json.dumps(status, allow_nan=False)) == status
    assert (status["tag"], status["agents"], status["champion"]) == ("apr5", 4, snapshot.champion)
    assert status["experiments"] == status["keep"] + status["discard"] + status["crash"] > 0
    assert status["baseline"] == snapshot.baseline
    assert status["sigma"] == snapshot.sigma
    assert status["best"] == snapshot.trunk[-1].value
    assert status["best_gain"] == pytest.approx(snapshot.trunk[-1].gain)
    names = {"id", "agent", "sha", "parent", "purpose", "seed", "metric", "status", "seconds", "description"}
    assert len(status["runs"]) == len(snapshot.runs)
    assert all(names <= run.keys() for run in status["runs"])
    assert len(status["agent_list"]) == 4
    assert len(status["trunk"]) == len(snapshot.trunk)


def test_status_json_is_strict_where_nothing_is_known(make_swarm):
    snapshot = make_swarm(1, now=0.05)
    broken = replace(snapshot, sigma=float("nan"), gpu_hours=float("inf"), counts={})
    status = json.loads(json.dumps(status_json(broken), allow_nan=False))
    assert (status["sigma"], status["gpu_hours"], status["baseline"], status["champion"]) == (None,) * 4
    assert (status["keep"], status["discard"], status["crash"], status["experiments"]) == (0, 0, 0, 0)


def test_runs_without_a_number_are_counted_by_kind_and_shown_where_nothing_else_comes(make_swarm, draw):
    snapshot = make_swarm(2, now=3.0)
    warning = "the last 6 experiments all crashed (4 oom, 2 nan): out of memory"
    failed = [
        replace(run, metric=None, state="crashed", failure=kind)
        for run, kind in zip(snapshot.runs, FAILED, strict=False)
    ]
    crashes = tuple(
        replace(view, status="crash", failure="oom", value=None, gain=None) for view in snapshot.experiments
    )
    snapshot = replace(snapshot, runs=tuple(failed), experiments=crashes, warnings=(warning,))
    assert status_json(snapshot)["failures"] == {"oom": 4, "nan": 2, "code": 1}
    assert f"! {warning}" in draw(render_status(snapshot), 120, 40)


FAILED = ("oom", "oom", "nan", "oom", "code", "nan", "oom")
