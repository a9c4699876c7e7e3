"""`show` and `status`, for people and as strict JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.cells import cell_len

from swarm.views.report import write_report
from swarm.views.show import experiment_json, render_experiment, render_status, status_json
from swarm.views.text import Scale

DIFF = "--- a/train.py\n+++ b/train.py\n@@ -1,2 +1,2 @@\n a = [0]\n-lr = 0.02\n+lr = 0.04 # [bold]\x1b[2J\n"


def shown(draw, snapshot, view, diff="", log="", **settings):
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    return draw(render_experiment(view, runs, diff, log, Scale.of(snapshot), snapshot.sigma), 100, 60, **settings)


def test_an_experiment_is_shown_in_full(make_night, draw):
    snapshot = make_night(4, now=6.0)
    view = next(e for e in snapshot.experiments if e.rung == "confirmed")
    drawn = shown(draw, snapshot, view, DIFF, "step 1\rstep 2 loss 3.1\n\x1b[31mTraceback\x1b[0m\n")
    for word in (
        view.id,
        view.title,
        view.rationale,
        view.commit[:7],
        "Confirmed on fresh seeds",
        "against its parent",
    ):
        assert word in drawn
    for run in snapshot.runs:
        if run.experiment == view.id:
            assert run.id in drawn
            assert f"{run.metric:.4f}" in drawn
    assert "step 2 loss 3.1" in drawn
    assert "step 1" not in drawn
    assert "+lr = 0.04 # [bold]" in drawn
    assert "\x1b" not in drawn


def test_a_diff_is_coloured(make_night, draw):
    snapshot = make_night(1, now=1.0)
    drawn = shown(draw, snapshot, snapshot.experiments[0], DIFF, color_system="standard")
    assert "\x1b[31m-lr = 0.02" in drawn
    assert "\x1b[32m+lr = 0.04" in drawn
    assert "\x1b[36m@@" in drawn


def test_an_experiment_of_which_little_is_known(make_night, draw, make_experiment):
    view = make_experiment(99, state="testing", status=None, value=None, gain=None, n=0, judged=None)
    drawn = shown(draw, make_night(1, now=1.0), view)
    assert "No verdict yet" in drawn
    assert "val_bpb –" in drawn
    assert "no run yet" in drawn
    assert "trained" not in drawn
    foreign = make_experiment(98, audited=False, sandboxed=False)
    drawn = shown(draw, make_night(1, now=1.0), foreign)
    assert "unaudited: its own code printed the number; trained outside a sandbox, with your rights" in drawn
    drawn = shown(draw, make_night(1, now=1.0), make_experiment(97))
    assert "audited: the referee measured it; trained in a sandbox" in drawn


def test_status_is_short_and_fits(make_night, draw):
    drawn = draw(render_status(make_night(3, now=4.0)), 80, 24).rstrip("\n").split("\n")
    assert max(map(cell_len, drawn)) <= 80
    assert len(drawn) < 24
    assert sum(line.startswith("gpu") for line in drawn) == 3 + 5
    assert "program.md" not in "".join(drawn)


def test_status_json_has_what_is_promised(make_night):
    snapshot = make_night(4, now=6.0)
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


def test_status_json_is_strict_where_nothing_is_known(make_night):
    snapshot = make_night(1, now=0.05)
    broken = replace(snapshot, sigma=float("nan"), gpu_hours=float("inf"), counts={})
    status = json.loads(json.dumps(status_json(broken), allow_nan=False))
    assert (status["sigma"], status["gpu_hours"], status["baseline"], status["champion"]) == (None,) * 4
    assert (status["keep"], status["discard"], status["crash"], status["experiments"]) == (0, 0, 0, 0)


def test_experiment_json_holds_its_runs(make_night):
    snapshot = make_night(2, now=3.0)
    view = next(e for e in snapshot.experiments if e.status == "keep")
    told = experiment_json(snapshot, view)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["verdict"].startswith("Kept after 3 runs")
    assert [run["id"] for run in told["runs"]] == [f"{view.id}.{k}" for k in (1, 2, 3)]


def test_what_is_in_quarantine_says_why_and_ranks_nowhere(draw, make_night, make_experiment, tmp_path):
    why = "causality: logits changed with later tokens (caught in run apr5-gpu0-0001.5)"
    cheat = make_experiment(1, status="keep", rung="invalid", quarantine=why, gain=0.2, low=0.19, high=0.21)
    built = make_experiment(2, rung="tainted", quarantine="built on apr5-gpu0-0001, which was found invalid")
    snapshot = replace(make_night(1, now=1.0), experiments=(cheat, built), runs=())
    drawn = shown(draw, snapshot, cheat)
    assert "keep invalid" in drawn and f"in quarantine: {why}" in drawn and "caught cheating" in drawn
    assert "discard tainted" in shown(draw, snapshot, built)
    assert "invalid" in draw(render_status(snapshot), 120, 40)
    report, _ = write_report(snapshot, tmp_path, None, {})
    assert "## In quarantine" in report.read_text() and "gpu0-0002" in report.read_text()


def test_runs_without_a_number_are_counted_by_kind_and_shown_where_nothing_else_comes(make_night, draw):
    snapshot = make_night(2, now=3.0)
    told = "the last 6 experiments all crashed (4 oom, 2 nan): out of memory"
    failed = [
        replace(run, metric=None, state="crashed", failure=kind)
        for run, kind in zip(snapshot.runs, FAILED, strict=False)
    ]
    crashes = tuple(
        replace(view, status="crash", failure="oom", value=None, gain=None) for view in snapshot.experiments
    )
    snapshot = replace(snapshot, runs=tuple(failed), experiments=crashes, warnings=(told,))
    assert status_json(snapshot)["failures"] == {"oom": 4, "nan": 2, "code": 1}
    assert f"! {told}" in draw(render_status(snapshot), 120, 40)


FAILED = ("oom", "oom", "nan", "oom", "code", "nan", "oom")
