"""A run beside its parent's: what it spent outside its clock, and what it knew when that began."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarm.judge.head_start import find_head_start
from swarm.records import Metrics, Run

CURVE = ((2.0, 6.0), (4.0, 5.0), (20.0, 3.0))


def run(before: float, after: float, curve=CURVE, by: str = "CPU, control group", compiled: int = 0) -> Run:
    values = {"seconds_before": before, "seconds_after": after, "seconds_of": by, "compiled": compiled}
    return Run("r", 1, 0.0, 1.0, 1.0, metrics=Metrics(1.0, audited=True, values=values), curve=curve)


PARENTS = [run(1.8, 0.2), run(2.0, 0.3)]


@pytest.mark.parametrize(
    "honest",
    [
        run(1.8, 0.2),
        run(4.2, 0.2),
        run(1.8, 0.6),
        run(1.8, 0.2, ((2.0, 4.2), (20.0, 2.5))),
        run(1.8, 0.2, ()),
        run(90.0, 9.0, by="wall clock"),
        replace(run(90.0, 9.0), metrics=Metrics(1.0, audited=True)),
    ],
)
def test_twice_the_start_and_a_better_idea_are_no_head_start(honest: Run) -> None:
    assert find_head_start(honest, PARENTS, 20) == ""
    assert find_head_start(honest, [], 20) == "", "nothing is known of its parent"


@pytest.mark.parametrize(
    ("cheat", "found"),
    [
        (run(7.5, 0.2), "clock: it spent 7.5 seconds before its first heartbeat, and its parent's code 1.9"),
        (run(1.8, 3.0), "clock: it spent 3.0 seconds after its last one, and its parent's code 0.2"),
        (
            run(1.8, 0.2, ((2.0, 3.2), (20.0, 2.5))),
            "clock: its loss was 3.2 when it began to count, and its parent's 6",
        ),
    ],
)
def test_clearly_more_than_the_parent_is_told(cheat: Run, found: str) -> None:
    assert find_head_start(cheat, PARENTS, 20).startswith(found)


def test_a_cold_compile_is_compared_with_cold_ones() -> None:
    warm, cold = [run(12, 2, by="wall clock")], [run(60, 2, by="wall clock", compiled=1)]
    slow = run(150, 2, by="wall clock", compiled=1)
    assert find_head_start(slow, warm, 300) == "" == find_head_start(slow, cold, 300)
    assert find_head_start(replace(slow, metrics=run(150, 2, by="wall clock").metrics), warm, 300)
    assert find_head_start(run(230, 2, by="wall clock", compiled=1), cold, 300)
