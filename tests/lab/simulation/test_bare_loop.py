"""The loop without a swarm, on ideas whose worth is known."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

from swarm.lab.simulation.bare_loop import bare_gain
from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.simulated_swarm import SimulatedSwarm

SWARM = SimulatedSwarm(LANDSCAPES["default"], 0.0006, gpus=1)


def gain(swarm: SimulatedSwarm) -> float:
    return fmean(bare_gain(replace(swarm, seed=seed)) for seed in range(8))


def test_without_noise_it_keeps_nothing_but_gains() -> None:
    assert gain(replace(SWARM, sigma=1e-9)) > gain(SWARM) > gain(replace(SWARM, sigma=0.0024))
    for seed in range(4):
        nothing = replace(SWARM, landscape=SWARM.landscape.null(), sigma=1e-9, seed=seed)
        assert bare_gain(nothing) == 0.0 >= bare_gain(replace(nothing, sigma=0.002))


def test_it_waits_while_it_thinks_and_tries_again_what_it_tried() -> None:
    quiet = replace(SWARM, sigma=1e-9)
    assert gain(quiet) < gain(replace(quiet, think=0.0)) and gain(quiet) < gain(replace(quiet, repeats=0.0))
    assert gain(replace(quiet, hours=1 / 12)) == 0.0  # the untouched code alone
