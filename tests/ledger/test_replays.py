"""A swarm's ledger under another policy: the same under its own, and honest about where the runs end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarm.errors import UsageError
from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.simulated_swarm import TAG, SimulatedSwarm, simulate
from swarm.ledger.database import Ledger
from swarm.ledger.replays import replay_by
from swarm.ledger.transaction import Transaction, of_swarm
from tests.board.nights import Night

MakeNight = Callable[..., Night]


def simulated(policy: str) -> Transaction:
    ledger = Ledger(None)
    simulate(SimulatedSwarm(LANDSCAPES["default"], 0.0006, policy, gpus=1, hours=4.0, conflicts=0.0), ledger)
    return of_swarm(ledger, TAG)


@pytest.mark.parametrize("policy", ["carry", "race", "greedy"])
def test_under_its_own_policy_a_swarm_is_the_same(policy: str) -> None:
    """Every verdict, and every step back, comes out as the board had it."""
    made = replay_by(simulated(policy), policy)
    assert len(made.rows) > 20 and any(row.keeps for row in made.rows)
    assert [row for row in made.rows if not row.agrees] == [] and (made.parts_at, made.why) == ("", "")


def test_greedy_keeps_what_carry_left(make_night: MakeNight) -> None:
    """A gain of a fiftieth of a sigma is a keep to greedy, and nothing to carry: there the trunks part."""
    night = make_night(policy="carry", agents=1)
    night.baselines()
    ids = []
    for knob, value in enumerate((1.004, 0.99998, 1.006)):
        ids.append(night.draft("gpu0", knob))
        night.run("gpu0", value)
    made = replay_by(night.transaction(), "greedy")
    assert [(row.experiment, row.kept, row.keeps, row.allowed) for row in made.rows] == [
        (ids[0], False, False, True), (ids[1], False, True, True), (ids[2], False, False, False),
    ]  # fmt: skip
    assert made.parts_at == ids[1] and made.why.startswith("it keeps what the swarm discarded")


def test_race_asks_for_runs_that_carry_never_made(make_night: MakeNight) -> None:
    night = make_night(policy="carry", agents=1)
    night.baselines()
    name = night.draft("gpu0", 0)
    night.run("gpu0", 0.997)
    (row,) = (made := replay_by(night.transaction(), "race")).rows
    assert row.kept and row.verdict.status is None
    assert (made.parts_at, made.why) == (name, "it asks for runs that were not made")


def test_a_policy_that_there_is_not_is_refused(make_night: MakeNight) -> None:
    night = make_night(policy="carry", agents=1)
    with pytest.raises(UsageError, match="it is one of"):
        replay_by(night.transaction(), "rce")
