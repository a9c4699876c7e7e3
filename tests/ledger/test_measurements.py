"""The noise is that of the runs there are, whoever asked for it before, and when."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.judge.noise import age_of, learned_from
from swarm.lab.simulation.simulated_swarm import TAG, swarm_columns
from swarm.ledger.database import Ledger
from swarm.ledger.measurements import noise
from swarm.ledger.swarms import found
from swarm.ledger.transaction import of_swarm
from swarm.records import Source

BASE = Source({"train.py": b"x = 1"})


def swarm() -> Ledger:
    ledger = Ledger(None)
    found(ledger, BASE, {"gpu0": ("sim", "optimizer")}, "print", 0.0, **swarm_columns(TAG))
    return ledger


def measure(ledger: Ledger, number: int) -> None:
    """A run of one of ten codes."""
    chance = random.Random(number)
    code, known = f"code{chance.randrange(10)}", {"experiment": "x", "agent": "gpu0", "purpose": "first", "parent": "p"}
    values = {"seed": number, "value": chance.gauss(), "source": code, "started": float(number)}
    ledger.insert("runs", id=f"r{number}", attempt=1, tag=TAG, state="measured", fence=1, **known, **values)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 400), st.sets(st.integers(1, 400)))
def test_a_resumed_swarm_and_one_that_never_stopped_know_the_same_noise(runs: int, asked: set[int]) -> None:
    ledger = swarm()
    for number in range(1, runs + 1):
        measure(ledger, number)
        if number in asked:
            noise(of_swarm(ledger, TAG))
    known = noise(of_swarm(ledger, TAG))
    ledger.memory.clear()  # as after a resume
    assert noise(of_swarm(ledger, TAG)) == known


@given(st.integers(0, 100_000))
def test_it_is_learned_from_the_first_runs_at_which_it_had_this_age(measured: int) -> None:
    first = learned_from(measured)
    assert age_of(first) == age_of(measured) and (first == 0 or age_of(first - 1) < age_of(measured))
    assert 0.98 * measured - 1 <= first <= measured
