"""One experiment in full, for people and as strict JSON."""

from __future__ import annotations

import json

from msgspec.structs import replace

from swarm.records import Metrics, Run
from swarm.views.clocked import clocked, clocked_line
from swarm.views.experiment import experiment_json, render_experiment
from swarm.views.report import write_report
from swarm.views.status import render_status
from swarm.wording.formatting import Scale

DIFF = "--- a/train.py\n+++ b/train.py\n@@ -1,2 +1,2 @@\n a = [0]\n-lr = 0.02\n+lr = 0.04 # [bold]\x1b[2J\n"


def shown(draw, snapshot, view, diff="", log="", **settings):
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    return draw(render_experiment(view, runs, diff, log, Scale.of(snapshot), snapshot.sigma), 100, 60, **settings)


def test_an_experiment_is_shown_in_full(make_swarm, draw):
    snapshot = make_swarm(4, now=6.0)
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


def test_a_diff_is_coloured(make_swarm, draw):
    snapshot = make_swarm(1, now=1.0)
    drawn = shown(draw, snapshot, snapshot.experiments[0], DIFF, color_system="standard")
    assert "\x1b[31m-lr = 0.02" in drawn
    assert "\x1b[32m+lr = 0.04" in drawn
    assert "\x1b[36m@@" in drawn


def test_an_experiment_of_which_little_is_known(make_swarm, draw, make_experiment):
    view = make_experiment(99, state="testing", status=None, value=None, gain=None, n=0, judged=None)
    drawn = shown(draw, make_swarm(1, now=1.0), view)
    assert "No verdict yet" in drawn
    assert "val_bpb –" in drawn
    assert "no run yet" in drawn
    assert "trained" not in drawn
    foreign = make_experiment(98, audited=False, sandboxed=False)
    drawn = shown(draw, make_swarm(1, now=1.0), foreign)
    assert "unaudited: its own code printed the number; trained outside a sandbox, with your rights" in drawn
    drawn = shown(draw, make_swarm(1, now=1.0), make_experiment(97))
    assert "audited: the referee measured it; trained in a sandbox" in drawn


def timed(before: float, after: float) -> Run:
    values = {"seconds_before": before, "seconds_within": 20.0, "seconds_after": after, "seconds_of": "wall clock"}
    return Run("r", 1, 0.0, 1.0, 1.0, metrics=Metrics(1.0, audited=True, values=values))


def test_time_beside_the_clock_stands_beside_the_verdict(make_swarm, draw):
    snapshot = make_swarm(1, now=1.0)
    line = clocked_line(timed(4.04, 0.3), timed(2.0, 0.2))
    assert line == (
        "seconds by the wall clock: 4.0 before its clock ran, 20.0 while, 0.3 after; its parent 2.0, 20.0, 0.2"
    )
    drawn = draw(render_experiment(snapshot.experiments[0], (), "", "", clocked=line), 120, 60)
    assert line in drawn
    assert clocked_line(Run("r", 1, 0.0, 1.0, 1.0), timed(1, 1)) == "" and clocked(timed(1, 1))


def test_experiment_json_holds_its_runs(make_swarm):
    snapshot = make_swarm(2, now=3.0)
    view = next(e for e in snapshot.experiments if e.status == "keep")
    details = experiment_json(snapshot, view)
    assert json.loads(json.dumps(details, allow_nan=False)) == details
    assert details["verdict"].startswith("Kept after 3 runs")
    assert [run["id"] for run in details["runs"]] == [f"{view.id}.{k}" for k in (1, 2, 3)]


def test_what_is_in_quarantine_says_why_and_ranks_nowhere(draw, make_swarm, make_experiment, tmp_path):
    why = "causality: logits changed with later tokens (caught in run apr5-gpu0-0001.5)"
    cheat = make_experiment(1, status="keep", rung="invalid", quarantine=why, gain=0.2, low=0.19, high=0.21)
    built = make_experiment(2, rung="tainted", quarantine="built on apr5-gpu0-0001, which was found invalid")
    snapshot = replace(make_swarm(1, now=1.0), experiments=(cheat, built), runs=())
    drawn = shown(draw, snapshot, cheat)
    assert "keep invalid" in drawn and f"in quarantine: {why}" in drawn and "caught cheating" in drawn
    assert "discard tainted" in shown(draw, snapshot, built)
    assert "invalid" in draw(render_status(snapshot), 120, 40)
    report, _ = write_report(snapshot, tmp_path, None, {})
    assert "## In quarantine" in report.read_text() and "gpu0-0002" in report.read_text()


def test_a_narrow_terminal_shows_each_run_on_a_line_of_its_own(make_swarm, draw):
    snapshot = make_swarm(2, now=3.0)
    view = next(e for e in snapshot.experiments if e.status == "keep")
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    lines = draw(render_experiment(view, runs, "", ""), 80, 40).splitlines()
    for run in runs:
        (line,) = [line for line in lines if run.id in line]
        assert run.purpose in line and f"{run.metric:.4f}" in line and "measured" in line and "…" not in line


def test_a_diff_says_what_it_is_against(make_swarm, draw):
    from swarm.cli.look import _against

    snapshot = make_swarm(4, ended=True)
    view = next(e for e in snapshot.experiments if e.id == snapshot.champion)
    whole = _against(snapshot, view, champion=True)
    assert whole == f"the baseline: all of {view.position} steps"
    before = next(step for step in snapshot.trunk if step.position == view.position - 1)
    alone = _against(snapshot, replace(view, parent=before.commit), champion=False)
    assert alone == f"its parent, step {before.position} ({before.title})"
    drawn = draw(render_experiment(view, [], DIFF, "", Scale.of(snapshot), against=alone), 120, 60)
    assert f"diff against its parent, step {before.position}" in drawn
