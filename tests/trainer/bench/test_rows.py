"""Figures are of what they are called after: timing, choosing kernels, writing.

python -m pytest tests/trainer/bench/test_rows.py
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from trainer import kernels, probing
from trainer.bench import rows

CPU = torch.device("cpu")


class Event:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    def record(self) -> None:
        self.at = max(self.gpu.now, self.gpu.free)

    def query(self) -> bool:
        return self.at <= self.gpu.now

    def synchronize(self) -> None:
        self.gpu.now = max(self.gpu.now, self.at)

    def elapsed_time(self, end: Event) -> float:
        return end.at - self.at


class Gpu:
    """What torch.cuda is to a stopwatch: a queue that Python fills while the GPU empties it, all in milliseconds."""

    def __init__(self) -> None:
        self.now = self.free = 0.0  # the CPU's clock, and when the GPU will have done all that is queued
        self.spun = 0.0
        self.waited = 0

    def launch(self, python: float, busy: float) -> None:
        """Python takes `python` to queue something that keeps the GPU busy for `busy`."""
        self.now += python
        self.free = max(self.free, self.now) + busy

    def _sleep(self, cycles: int) -> None:
        self.launch(0.01, cycles / 2e6)
        self.spun = cycles / 2e6

    def synchronize(self) -> None:
        self.now = max(self.now, self.free)
        self.waited += 1

    def Event(self, enable_timing: bool) -> Event:
        return Event(self)


@pytest.mark.parametrize(("python", "busy"), [(0.5, 0.02), (3.0, 2.0), (40.0, 150.0), (1.0, 4.0)])
def test_a_gpu_is_timed_without_what_launching_takes(python: float, busy: float) -> None:
    gpu = Gpu()
    assert rows.gpu_milliseconds(lambda: gpu.launch(python, busy), 0.0, gpu) == pytest.approx(busy)


def test_spinning_is_never_in_the_figure_even_if_a_function_waits_for_the_gpu() -> None:
    gpu = Gpu()

    def waiting() -> None:
        gpu.launch(0.5, 1.0)
        gpu.synchronize()

    assert 1.0 <= rows.gpu_milliseconds(waiting, 0.0, gpu) <= 1.5
    assert gpu.spun > 100  # it was tried


def test_whole_steps_run_ahead_of_the_gpu_and_wait_for_it_once() -> None:
    gpu = Gpu()
    measured = rows.steady_milliseconds(lambda: time.sleep(0.002), torch.device("cuda"), 0.0, gpu)
    assert measured >= 2.0
    assert gpu.waited == 2  # before the first and after the last


def test_timing_counts_work_on_a_cpu() -> None:
    x = torch.randn(200, 200)
    assert 0 < rows.milliseconds(lambda: x @ x, CPU, 0.05) < 5000
    assert 0 < rows.steady_milliseconds(lambda: x @ x, CPU, 0.05) < 5000


def test_the_choice_of_kernels_ends_with_its_context_even_by_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.VARIABLE, "polar")
    with pytest.raises(RuntimeError), rows.using_kernels("none"):
        assert kernels.verdict("polar", "cuda").reason == "not in AUTORESEARCH_KERNELS"
        raise RuntimeError
    assert os.environ[kernels.VARIABLE] == "polar"
    assert kernels.verdict.cache_info().currsize == 0  # the next question is answered anew


def test_an_error_is_told_in_one_line() -> None:
    assert probing.reason(RuntimeError("out of memory\nat line 7")) == "out of memory"
    assert probing.reason(AssertionError()) == "AssertionError"


def test_a_file_is_replaced_only_by_a_complete_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bench.json"
    rows.write(path, [rows.Row("a", "b", 1.0, "ms")], CPU, ["bench"])

    def full(_path: Path, _text: str) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(Path, "write_text", full)
        rows.write(path, [], CPU, ["bench"])
    assert [row["value"] for row in json.loads(path.read_text())["rows"]] == [1.0]
    rows.write(path, [], CPU, ["bench"])
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]
