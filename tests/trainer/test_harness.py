"""The budget clock and the figures around a run.

python -m pytest tests/trainer/test_harness.py
"""

import itertools
import os
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer import harness

CPU, MPS, CUDA = (torch.device(name) for name in ("cpu", "mps", "cuda"))


def test_a_cpu_budget_counts_work_and_not_waiting() -> None:
    clock = harness.BudgetClock(CPU, 10.0)
    clock.start()
    began = time.process_time()
    time.sleep(2.0)
    clock.lap()
    assert clock.seconds < 1.0
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    clock.lap()
    assert 0.2 <= clock.seconds <= time.process_time() - began + 0.1


def test_a_stalled_step_counts_as_an_ordinary_one_and_marks_the_run() -> None:
    clock = harness.BudgetClock(MPS, 100.0)
    for step in (1.0,) * 10:
        clock.count(step)
    clock.count(4.0)  # slow, but no stall: it counts in full
    assert clock.seconds == pytest.approx(14.0)
    assert not clock.stalled
    clock.count(900.0)
    assert clock.seconds == pytest.approx(15.0)
    assert clock.stalled


def test_a_cpu_never_stalls() -> None:
    clock = harness.BudgetClock(CPU, 100.0)
    for step in (1.0,) * 10 + (50.0,):
        clock.count(step)
    assert clock.seconds == 60.0
    assert not clock.stalled


def test_the_last_step_overshoots_by_less_than_itself() -> None:
    """On CUDA one more step is already queued when the clock is read."""
    for device, queued in ((CPU, 0), (CUDA, 1)):
        clock = harness.BudgetClock(device, 10.0)
        steps = 0
        while not clock.spent:
            clock.count(3.0)
            steps += 1
        assert 10.0 <= (steps + queued) * 3.0 < 13.0


@pytest.mark.parametrize("device", [CPU, MPS, CUDA])
def test_a_step_that_begins_after_the_budget_is_spent_ends_the_run(device: torch.device) -> None:
    clock = harness.BudgetClock(device, 10.0)
    for step in (4.0, 4.0, 9.0):  # the last one began in time, and may take as long as it takes
        clock.count(step)
    if device == CUDA:
        clock.count(0.0)  # it was in the queue
    counted = clock.laps, clock.seconds
    for _ in range(2):
        with pytest.raises(harness.BudgetSpent, match="the budget of 10 seconds was spent before this step began"):
            clock.count(0.1)
    assert counted == (clock.laps, clock.seconds) == (4 if device == CUDA else 3, 17.0), "it is not counted either"


@given(st.lists(st.floats(0, 8), min_size=1, max_size=60), st.sampled_from([CPU, MPS, CUDA]), st.floats(0, 30))
def test_whoever_asks_the_clock_is_never_refused(steps: list[float], device: torch.device, late: float) -> None:
    """As train.py does: on CUDA the step in the queue is counted after the last question."""
    clock = harness.BudgetClock(device, 20.0)
    clock.seconds += late  # of a start that took too long
    counted = 0
    for step in itertools.cycle([*steps, 1.0]):
        if clock.spent:
            break
        clock.count(step)
        counted += 1
    if device is CUDA and counted:
        clock.count(steps[0])


def test_compiled_code_is_kept_beside_the_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "TORCHINDUCTOR_COMPILE_THREADS")
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path))
    for name in names:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    harness.keep_compiled_code(threads=1)
    assert [os.environ[name] for name in names] == [f"{tmp_path}/compiled/inductor", f"{tmp_path}/compiled/triton", "1"]
    monkeypatch.setenv("TRITON_CACHE_DIR", "/elsewhere")
    monkeypatch.delenv("TORCHINDUCTOR_COMPILE_THREADS")
    harness.keep_compiled_code(threads=None)
    assert os.environ["TRITON_CACHE_DIR"] == "/elsewhere"
    assert 1 <= int(os.environ["TORCHINDUCTOR_COMPILE_THREADS"]) <= (os.cpu_count() or 1)


def test_a_cache_that_cannot_be_made_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("TRITON_CACHE_DIR", "")
    monkeypatch.delenv("TRITON_CACHE_DIR")
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    harness.keep_compiled_code(threads=1)
    assert "TRITON_CACHE_DIR" not in os.environ


def test_losses_on_a_cpu_are_read_at_once() -> None:
    reader = harness.LossReader(CPU)
    assert reader.read(torch.tensor(2.5)) == 2.5
    assert reader.read(None) is None


def test_the_summary_aligns_and_says_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    harness.print_summary({"val_bpb": None, "tokens_per_second": 12})
    assert capsys.readouterr().out == "---\nval_bpb:          n/a\ntokens_per_second: 12\n"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_losses_on_a_gpu_arrive_one_step_late() -> None:
    reader = harness.LossReader(CUDA)
    assert reader.read(torch.tensor(1.0, device="cuda")) is None
    assert reader.read(torch.tensor(2.0, device="cuda")) == 1.0
    assert reader.read(None) == 2.0


def test_a_gpu_without_a_compiler_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(harness.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(harness.SetupError, match="install gcc"):
        harness.check_compiler()
    monkeypatch.setenv("CC", "/opt/cc")
    with pytest.raises(harness.SetupError, match="python3-dev"):
        harness.check_compiler()
    (tmp_path / "Python.h").touch()
    harness.check_compiler()
