"""Every number that people read is the plain mean of the runs that it names, and can be reckoned again from them."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from rich.console import Console

from swarm import cli
from swarm.ledger.home import open_ledger
from swarm.records import Metrics, Run
from swarm.snapshot.read import read_snapshot
from swarm.snapshot.records import Snapshot
from swarm.views.experiment import render_experiment
from swarm.views.patch import mail
from swarm.views.report import write_report
from swarm.wording.confirmation_results import confirmation_sentence
from swarm.wording.formatting import Scale
from swarm.wording.headline import headline, second_opinion
from tests.board.nights import Night

SLOPE = -0.5  # of the metric in ln(steps): a machine that was busy loses what it shows
STEPS = (1000, 1004, 997, 1006, 1001, 994, 1003)
LEVEL = {"baseline": 2.55, "first": 2.40, "second": 2.34}


class Busy:
    """A swarm of two agents on a busy machine, whose values are corrected for their steps before they decide."""

    def __init__(self, night: Night):
        self.night, self.levels, self.made = night, {night.base.sha: LEVEL["baseline"]}, 0
        night.join()
        for agent in night.agents:
            for _ in range(2):
                self.run(agent)
        for knob, name in enumerate(("first", "second")):
            draft = night.draft("gpu0", knob)
            self.levels[night.row(draft)["source"]] = LEVEL[name]
            while night.state(draft) != "judged":
                self.run("gpu0")
        night.swarm(max_experiments=2)
        while "Stop" not in {type(self.step(agent)).__name__ for agent in night.agents}:
            pass

    def run(self, agent: str) -> None:
        self.record(agent, self.night.measure(agent))

    def step(self, agent: str) -> Any:
        """What the agent does next, done where it is a run."""
        work = self.night.next(agent)
        if hasattr(work, "source"):
            self.record(agent, work)
        return work

    def record(self, agent: str, work: Any) -> None:
        steps = STEPS[self.made % len(STEPS)]
        value = self.levels[work.source] + SLOPE * math.log(steps / 1000) + 0.0002 * (-1) ** (self.made // 3)
        self.made += 1
        self.night.clock.tick(10.0)
        metrics = Metrics(value, audited=True, values={"num_steps": steps}, hidden=value + 0.1 + steps / 1e6)
        run = Run(work.run, work.attempt, self.night.clock.now - 10.0, 10.0, 9.0, metrics=metrics)
        self.night.call("record", agent, self.night.fences[agent], run)


@pytest.fixture
def snapshot(make_night: Callable[..., Night], tmp_path: Path) -> Snapshot:
    night = make_night(settings='{"hidden": true}', sigma_prior=0.0005)
    Busy(night)
    ledger = open_ledger(tmp_path)
    try:
        return read_snapshot(tmp_path, ledger, night.tag, night.clock.now)
    finally:
        ledger.close()


@pytest.fixture
def exported(snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the verb export gives to whoever reckons again."""
    import pandas

    (tmp_path / ".git").mkdir()
    target = tmp_path / "runs.csv"
    assert cli.main(["export", "--runs", "-C", str(tmp_path), "--output", str(target)]) == 0
    return pandas.read_csv(io.StringIO(target.read_text()))


def draw(renderable: Any) -> str:
    console = Console(file=io.StringIO(), width=160, color_system=None)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def mean_of(runs: Any, column: str = "metric") -> tuple[float, int]:
    return fmean(runs[column]), len(runs)


def test_the_swarm_is_one_in_which_a_correction_decides(snapshot: Snapshot) -> None:
    assert snapshot.headline and snapshot.corrected and len(snapshot.trunk) == 3
    assert abs(snapshot.headline.mean - snapshot.corrected.mean) > 1e-4


def test_every_number_of_a_report_is_reckoned_again_from_its_runs(
    snapshot: Snapshot, exported: Any, tmp_path: Path
) -> None:
    scale = Scale.of(snapshot)
    measured = exported[exported.state == "measured"]
    closing = measured[measured.purpose == "closing"]
    untouched, newest = (closing[closing.sha == sha] for sha in (_sha(snapshot, 0), _sha(snapshot, 2)))
    (base, m), (best, n) = mean_of(untouched), mean_of(newest)
    hidden = mean_of(untouched, "hidden")[0] - mean_of(newest, "hidden")[0]
    corrected, corrected_base = mean_of(newest, "corrected")[0], mean_of(untouched, "corrected")[0]

    report, _ = write_report(snapshot, tmp_path, None, {})
    text = report.read_text()
    top = f"{best:.4f} over {n} fresh runs, −{base - best:.4f} ± "
    assert top in text and f"against the baseline's mean of {base:.4f} ({m} runs)" in text
    other = f"corrected for GPUs and steps: {corrected:.4f}, −{corrected_base - corrected:.4f}"
    assert other in text, "what decided stands beside it, labelled"
    assert f"On a hidden split, which decided nothing, its gain is −{hidden:.4f} ± " in text
    assert text.startswith(f"# apr5: val_bpb {base:.4f} to {best:.4f} (−{base - best:.4f} ± ")

    rows = {cells[1]: cells for line in text.splitlines() if len(cells := _cells(line)) > 8 and cells[1].isdigit()}
    for step in (1, 2):
        own = measured[measured.sha == _sha(snapshot, step)]
        own = own[own.purpose == "closing"] if (own.purpose == "closing").sum() > 1 else own
        value, count = mean_of(own)
        assert rows[str(step)][2] == scale.value(value)
        assert rows[str(step)][3].split()[0] == str(count)
        assert rows[str(step)][4].startswith(f"−{base - value:.4f} ± ")
        assert rows[str(step)][5] == scale.value(mean_of(own, "corrected")[0])

    tests = [test for test in snapshot.confirmations if test.gain is not None]
    assert tests, "the closing wave made a strict test"
    for test in tests:
        assert test.asked == "closing"
        assert f"−{base - best:.4f} ± " in confirmation_sentence(test, scale)
        assert f"corrected for GPUs and steps −{test.corrected_gain:.4f}, which decided" in confirmation_sentence(
            test, scale
        )
        (told,) = (event.text for event in snapshot.events if event.kind == "champion")
        decided = f"corrected for GPUs and steps {test.corrected_gain:+.6f}, which decided, p "
        assert f"gain {base - best:+.6f} on {test.n} + {test.m} fresh runs ({decided}" in told


def test_one_state_has_one_number_wherever_it_stands(snapshot: Snapshot, exported: Any) -> None:
    newest = exported[(exported.sha == _sha(snapshot, 2)) & (exported.purpose == "closing")]
    value, n = mean_of(newest)
    view = next(view for view in snapshot.experiments if view.id == snapshot.trunk[2].experiment)
    assert (view.value, view.value_n) == (pytest.approx(value), n)
    runs = [run for run in snapshot.runs if run.experiment == view.id]
    shown = draw(render_experiment(view, runs, "", "", Scale.of(snapshot), snapshot.sigma))
    assert f"val_bpb {value:.4f} (mean of {n} fresh runs)" in shown
    assert "corrected" in shown, "a column of its own"
    assert f"{value:.4f} over {n} fresh runs" in headline(snapshot)
    assert f"{value:.4f} over {n} fresh runs" in re.sub(r"\s+", " ", mail(snapshot, view, "diff", champion=True))
    assert snapshot.best == pytest.approx(value)
    assert "−" in second_opinion(snapshot)


def test_the_gain_on_the_parent_as_measured_is_reckoned_again(snapshot: Snapshot, exported: Any) -> None:
    measured = exported[exported.state == "measured"]
    for step in (1, 2):
        view = next(view for view in snapshot.experiments if view.id == snapshot.trunk[step].experiment)
        own = measured[(measured.experiment == view.id) & measured.purpose.isin(["first", "replicate"])]
        ends = _seconds(measured.started) + measured.seconds
        parents = measured[(measured.sha == own.parent.iloc[0]) & (ends <= (view.judged or 0.0))]
        assert view.plain_gain == pytest.approx(fmean(parents.metric) - fmean(own.metric))
        assert view.plain_gain != view.gain


def _seconds(times: Any) -> Any:
    import pandas

    return (pandas.to_datetime(times, utc=True) - pandas.Timestamp(0, tz="UTC")).dt.total_seconds()


def _sha(snapshot: Snapshot, position: int) -> str:
    """What export calls the code of a step."""
    step = snapshot.trunk[position]
    if step.commit:
        return step.commit
    return next(run.sha or "" for run in snapshot.runs if run.experiment == step.experiment and run.purpose == "first")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


def test_every_interval_of_a_gain_is_the_same_95_percent_one(snapshot: Snapshot) -> None:
    view = next(view for view in snapshot.experiments if view.id == snapshot.trunk[1].experiment)
    found = re.search(r"gain \S+ ± ([\d.]+)", view.reason)
    assert found and view.low is not None and view.high is not None
    decimals = len(found[1].partition(".")[2])
    assert found[1] == f"{(view.high - view.low) / 2:.{decimals}f}", "the verdict's own words show no standard error"
