"""What is simulated of the next swarm: as was asked for, or as much as can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import UsageError
from swarm.judge.record import Recorded
from swarm.lab.simulation.evidence import Evidence, of_record
from swarm.lab.simulation.forecast import HOUR, MOST, setting_of

ROWS = [Recorded(line, 1.0 - 0.001 * (line % 3), line % 3 == 2, "an idea") for line in range(1, 9)]


def evidence(seconds: float | None = None, hours: float | None = None, gpus: int = 1) -> Evidence:
    found = of_record("results.tsv", "val_bpb", "lower", ROWS, 0.001)
    return Evidence(**{name: getattr(found, name) for name in Evidence.__slots__} | {
        "seconds": seconds, "hours": hours, "gpus": gpus,
    })  # fmt: skip


def test_it_is_like_the_swarm_before_unless_somebody_says_otherwise() -> None:
    known = evidence(300.0, 8.0, 4)
    assert setting_of(known, None, None, None) == setting_of(known, 4, 8.0, 300.0)
    asked = setting_of(known, 2, 3.0, 600.0)
    assert (asked.gpus, asked.hours, asked.budget) == (2, 3.0, 600.0)


@given(st.floats(0.01, 1e5), st.floats(0.01, 1e4), st.integers(1, 1000))
def test_no_swarm_is_longer_than_can_be_simulated(seconds: float, hours: float, gpus: int) -> None:
    found = setting_of(evidence(seconds, hours, gpus), None, None, None)
    runs = found.gpus * found.hours * HOUR / found.budget
    assert 0 < runs <= MOST * 1.000001 and found.hours <= hours
    assert found.hours == hours or runs > MOST * 0.999999


def test_whoever_asks_for_more_is_told_how_much_can_be() -> None:
    with pytest.raises(
        UsageError, match=r"43,200 of them, and at most 3,000 are simulated: give --hours 0.83 or fewer"
    ):
        setting_of(evidence(1.0), None, 12.0, None)
    assert setting_of(evidence(1.0), None, 0.83, None).hours == 0.83
