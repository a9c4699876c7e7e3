"""Edits that must be carried onto a trunk that moved: a share of them cannot be, and their experiments end."""

from __future__ import annotations

from dataclasses import replace

from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.simulated_swarm import SimulatedSwarm, simulate

SWARM = SimulatedSwarm(LANDSCAPES["default"], 0.0006, gpus=4, hours=1.5)


def test_none_or_all_of_them_conflict() -> None:
    free, stuck = (simulate(replace(SWARM, conflicts=share)) for share in (0.0, 1.0))
    assert free.rebases > 0 == free.conflicts
    assert stuck.rebases == stuck.conflicts > 0
