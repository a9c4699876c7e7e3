"""What a launch tells while its trial runs, where no line can be overwritten."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from swarm.cli import trial
from swarm.records import Progress


@pytest.mark.parametrize("quiet, lines", [(3600.0, 2), (0.0, 4)])
def test_without_a_terminal_a_line_stays_for_each_run_and_every_half_a_minute(
    quiet: float, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trial, "QUIET", quiet)
    plan = cast(Any, SimpleNamespace(slots={"gpu0": None}, project=SimpleNamespace(referee=())))
    with trial.progress_shown(plan, Console(file=io.StringIO())) as report:
        for number in (1, 1, 2):
            report(number, Progress(phase="starting", elapsed=61.0))
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "trial run of the untouched code on gpu0 ..." and len(shown) == lines
    assert "the same again, run 2: running, 1:01" in shown[-1]
