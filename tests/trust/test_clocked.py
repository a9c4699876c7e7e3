"""Training outside the counted time: edits of the real train.py, run as a swarm runs them, on a slot of a CPU.

python -m pytest tests/trust/test_clocked.py            # some of each kind; with -m "slow or not slow" all
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.execution import run_spec
from swarm.execution.machine import cpu_group
from swarm.execution.runner import LocalRunner
from swarm.execution.sandbox.call_filter import works
from swarm.execution.slot import Limits, Overhead, Slot, limits_for
from swarm.project.project import Project, load_project
from swarm.records import Check, Failure, Measure, Purpose, Run, Source
from tests.execution.conftest import archive
from tests.trust.clock_edits import CHEATS, HELPERS, HONEST, IN_THE_REFEREE, LONGER, Edit
from tests.trust.edits import ROOT, TRAIN

BUDGET = 2.0  # CPU-seconds
QUICK = (
    "made up",
    "last heartbeat",
    "slows its clock",
    "another model in a thread",
    "helpers",
    "second time",
    "half as long again",
    "packs in a thread",
)

Trains = Callable[[Edit], Run]


def chosen(edits: list[Edit]) -> list[object]:
    """One of each kind; the others are slow."""
    quick = [any(word in edit.name for word in QUICK) for edit in edits]
    marks = ([] if fast else [pytest.mark.slow] for fast in quick)
    return [pytest.param(edit, id=edit.name, marks=mark) for edit, mark in zip(edits, marks, strict=True)]


def files(folder: Path) -> Mapping[str, str]:
    found = [folder / "prepare.py", *sorted((folder / "trainer").rglob("*.py"))]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def patient(budget: float, device: str, known: Overhead | None, timeout: float | None) -> Limits:
    """The limits of a swarm, but for those by the wall clock: others may need this machine, too."""
    return replace(limits_for(budget, device, known, timeout), wall=3000.0, silence=None)


def runner_of(project: Project, folder: Path, slot: Slot, cache: Path) -> LocalRunner:
    return LocalRunner(project, archive(files(ROOT)), folder, slot, cache, patient)


@pytest.fixture(scope="module")
def trains(cache: Path, tmp_path_factory: pytest.TempPathFactory):
    """Trains an edit, once the untouched code has shown what it takes here."""
    folder = tmp_path_factory.mktemp("clocked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_spec, "LOCK_FOLDER", folder / "locks")
        slot = Slot("cpu", 0, cores=(min(os.sched_getaffinity(0)),) if hasattr(os, "sched_getaffinity") else ())
        project = load_project(ROOT)
        measuring = runner_of(project, folder / "gpu0", slot, cache)
        # What a cheat's clock says is read before its model is: its referee has nothing to do.
        idle = replace(project, referee=("{python}", "-S", "-c", ""), referee_waits=False, hidden=())
        clocking = runner_of(idle, folder / "gpu1", slot, cache)

        def train(edit: Edit, purpose: Purpose = Purpose.FIRST) -> Run:
            runner = clocking if edit in CHEATS else measuring
            source = Source({"trainer/train.py": edit.code.encode()})
            work = Measure("t-gpu0-0001.1", 1, "t-gpu0-0001", "an idea", purpose, 7, source.sha, source.sha, BUDGET)
            return asyncio.run(runner.run(work, source, lambda progress: None))

        baseline = train(Edit("nothing", ()), Purpose.BASELINE)
        assert baseline.metrics, baseline.reason
        yield train


@pytest.mark.parametrize("edit", chosen(CHEATS))
def test_training_outside_the_clock_is_invalid(trains: Trains, edit: Edit) -> None:
    run = trains(edit)
    assert (run.failure, run.check) == (Failure.INVALID, Check.CLOCK), (run.reason, run.metrics, run.log_tail)
    assert run.reason.startswith("clock: ")


def test_a_step_after_the_budget_ends_the_run_and_says_so(trains: Trains) -> None:
    run = trains(LONGER)
    assert run.failure is Failure.CODE and "the budget of 2 seconds was spent before" in run.reason, run


@pytest.mark.parametrize("edit", chosen(IN_THE_REFEREE))
def test_training_in_the_referee_is_invalid(trains: Trains, edit: Edit) -> None:
    run = trains(edit)
    assert (run.failure, run.check) == (Failure.INVALID, Check.CLOCK), (run.reason, run.metrics, run.log_tail)
    assert run.reason.startswith("clock: its model took ")


@pytest.mark.parametrize("edit", chosen(HONEST))
def test_what_takes_time_and_is_no_cheat_passes(trains: Trains, edit: Edit) -> None:
    run = trains(edit)
    assert run.metrics, (run.reason, run.log_tail)
    counted = [float(str(run.metrics.values[f"seconds_{phase}"])) for phase in ("before", "within", "after")]
    assert counted[0] > 0 and counted[1] <= 1.5 * BUDGET, counted


@pytest.mark.skipif(not works(), reason="no such filters here")
def test_without_a_group_the_trainer_starts_no_process_and_trains(trains: Trains, monkeypatch) -> None:
    monkeypatch.setattr(cpu_group, "is_available", lambda: False)
    run = trains(HONEST[0])
    assert run.metrics and run.metrics.values["seconds_of"] == "CPU, process tree", (run.reason, run.log_tail)
    refused = trains(HELPERS)
    assert refused.failure is Failure.CODE and "Operation not permitted" in refused.reason, refused
    assert refused.reason.endswith("need a control group that this user may make"), refused.reason


def test_the_code_that_is_edited_is_the_trainers() -> None:
    assert HONEST[0].code == TRAIN and len({edit.code for edit in (*CHEATS, *HONEST)}) == len(CHEATS) + len(HONEST)
