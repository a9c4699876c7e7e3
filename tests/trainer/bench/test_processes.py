"""Trainers that the bench starts: what of them is timed, and what is told of one that fails.

python -m pytest tests/trainer/bench/test_processes.py
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from tests.trainer.conftest import edit
from trainer import harness
from trainer.bench import against, processes

CPU = torch.device("cpu")


def test_start_up_ends_at_the_first_step(workspace: Path, corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(
        workspace,
        '    partial = folder / "model.pt.part"\n',
        '    time.sleep(2)\n    partial = folder / "model.pt.part"\n',
    )
    monkeypatch.setattr(processes, "ROOT", workspace)
    began = time.monotonic()
    row = next(processes.startup_rows(CPU))
    took = time.monotonic() - began
    assert row.what == "cold, Python to first step"
    assert row.value is not None
    assert 0 < row.value < took - 2  # saving the model is not part of it


@pytest.mark.slow
def test_start_up_and_the_referee(corpus) -> None:
    found = {(row.part, row.what): row.value for row in processes.startup_rows(CPU)}
    assert all(found.values())
    assert ("referee", "second: pass over val") in found


def test_a_trainer_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path))
    with pytest.raises(harness.SetupError, match=r"trainer\.train failed: .*prepare\.py"):
        next(processes.startup_rows(CPU))


@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: [])(0)) < 2, reason="needs two cores")
@pytest.mark.slow
def test_neighbours_that_cannot_start_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path))
    with pytest.raises(harness.SetupError, match=r"trainer\.train failed: .*prepare\.py"):
        next(processes.neighbour_rows(CPU))


@pytest.mark.parametrize(
    ("stdout", "stderr", "words"),
    [
        ("fine\n", "Traceback\nOSError: no\n", "OSError: no"),
        ("FAIL\n", "", "FAIL"),
        ("", "", "it ended with code -9"),
    ],
)
def test_the_last_line_of_a_process_that_failed(stdout: str, stderr: str, words: str) -> None:
    assert processes.last_line(stdout, stderr, -9) == words


def test_figures_and_summaries() -> None:
    summary = processes.summary_of("step 1\n---\nval_bpb:          n/a\ntraining_seconds: 2.0\ntotal_tokens_M:   0.5\n")
    assert against.figures(summary) == {"training_seconds": 2.0, "total_tokens_M": 0.5, "tokens/s": 250_000}
