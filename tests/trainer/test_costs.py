"""What a reader takes of the CPU, counted from outside.

python -m pytest tests/trainer/test_costs.py
"""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from trainer.costs import Costs, cpu_seconds


@pytest.mark.skipif(sys.platform != "linux", reason="clocks of other processes")
def test_the_cpu_time_of_another_process_is_seen_with_that_of_its_threads() -> None:
    (go, told), (done, tells) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(go, 1)
        worker = threading.Thread(target=_work, args=(0.2,))
        worker.start()
        worker.join()
        os.write(tells, b".")
        os.read(go, 1)
        os._exit(0)
    before = cpu_seconds(child)
    os.write(told, b".")
    os.read(done, 1)
    assert 0.2 <= cpu_seconds(child) - before < 5.0
    os.write(told, b".")
    os.waitpid(child, 0)


def _work(seconds: float) -> None:
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


def read(costs: Costs, now: list[float]) -> None:
    """Three seconds to load, two at the first call, one for each of three others and a fourth for the last, and a
    quarter between each two."""
    costs.begin()
    for seconds, mark in ((3.0, costs.loaded), (2.0, costs.opened)):
        now[0] += seconds
        mark()
    for seconds in (1.0, 1.0, 5.0):
        now[0] += 0.25
        costs.asks()
        now[0] += seconds
        costs.answered()


def test_what_is_used_between_two_calls_counts_where_nobody_else_uses_it() -> None:
    now = [0.0]
    costs = Costs(lambda: now[0], gapless=True)
    read(costs, now)
    assert costs.told() == {"reader_load": 3.0, "reader_first": 2.0, "reader_calls": 7.75, "reader_usual": 3.75}


def test_by_the_clock_on_the_wall_only_the_calls_count() -> None:
    now = [100.0]
    costs = Costs(lambda: now[0])
    read(costs, now)
    assert costs.told() == {"reader_load": 3.0, "reader_first": 2.0, "reader_calls": 7.0, "reader_usual": 3.0}


def test_a_model_that_was_never_called_took_nothing() -> None:
    assert set(Costs().told().values()) == {0.0}
