"""A swarm in a terminal: whatever becomes of its screen, it goes on, hears Ctrl-C and ends as it would have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swarm.coordinator import foreground
from swarm.coordinator.ending import Ended, Ending


class OneSwarm:
    """A swarm that ends when it is drained."""

    def __init__(self, plan: object):
        self.word, self.waits_for = "", ""
        self.ended, self.drained = threading.Event(), threading.Event()

    def start(self) -> None:
        pass

    def supervise(self) -> Ended:
        assert self.drained.wait(600)
        self.ended.set()
        return Ended(Ending.DONE, "drained")

    def drain(self) -> None:
        self.word = "drain"
        self.drained.set()

    def stop(self) -> None:
        self.word = "now"
        self.drained.set()


PLAN: Any = SimpleNamespace(tag="apr5")


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("database is locked")])
def test_a_screen_that_fails_leaves_the_swarm_to_its_end(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(foreground, "Swarm", OneSwarm)
    hang_up = signal.getsignal(signal.SIGHUP)

    def show(done: Callable[[], bool]) -> None:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()  # heard while nothing is shown
        raise error

    try:
        assert foreground.run(PLAN, show) == (0, "drained")
    finally:
        signal.signal(signal.SIGHUP, hang_up)
    assert "the leaderboard failed" in capsys.readouterr().out


def test_who_no_longer_reads_its_output_ends_nothing(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys, threading
sys.path[:0] = [{str(Path(__file__).parents[2])!r}]
from swarm.coordinator import foreground
from tests.coordinator.test_foreground import OneSwarm, PLAN
foreground.Swarm = OneSwarm
def show(done):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        print("a line of the leaderboard", flush=True)
code, reason = foreground.run(PLAN, show)
print("the last line", flush=True)
open({str(tmp_path / "end")!r}, "w").write(f"{{code}} {{reason}}")
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        process.stdout.close()  # as where `| head` has seen enough
    assert process.returncode == 0 and (tmp_path / "end").read_text() == "0 drained"
