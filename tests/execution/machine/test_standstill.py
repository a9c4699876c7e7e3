"""Whether a machine stood still, by the waits of a guard."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from swarm.execution.machine.standstill import LATE, Standstill, since_boot
from swarm.records import Failure


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def wait(self, seconds: float) -> str:
        self.now += seconds
        return "woken"


def test_only_waits_that_last_for_seconds_too_long_count() -> None:
    clock = Clock()
    still = Standstill(lambda: clock.now)
    for lasts in (0.0, 0.1, 0.1 + LATE, 0.05):
        assert still.over(lambda _, lasts=lasts: clock.wait(lasts), 0.1) == "woken"
    assert still.seconds == pytest.approx(0.0)
    clock.now += 500  # work between two waits: an edit may give a guard much to do
    still.over(lambda _: clock.wait(30.1), 0.1)
    still.over(lambda _: clock.wait(5.1), 0.1)
    assert still.seconds == pytest.approx(35.0)


def test_the_clock_goes_on() -> None:
    before = since_boot()
    time.sleep(0.05)
    assert since_boot() - before >= 0.04


def test_a_guard_that_was_frozen_with_its_machine_says_so(rig, referee) -> None:
    """The guard is stopped for a while, as everything is on a laptop that sleeps; once more, as it may be at work."""
    rig.referee, rig.limits = referee, replace(rig.limits, wall=600.0)
    run = rig.run(f"""
        import os, pathlib, signal, time
        folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
        guard = os.getppid()
        for _ in range(2):
            time.sleep(0.7)
            os.kill(guard, signal.SIGSTOP)
            time.sleep({LATE + 0.6})
            os.kill(guard, signal.SIGCONT)
        (folder / "model.pt").write_text("1.25")
        print("---\\nval_bpb: n/a")
        """)
    assert (run.failure, run.own_word) == (Failure.STALL, False), run.reason
    assert run.reason.startswith("the machine stood still for ")
