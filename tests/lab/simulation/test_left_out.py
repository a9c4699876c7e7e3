"""The ablation of a simulated swarm against the truth, through the agents' own loop and real merges.

python -m pytest tests/lab/simulation/test_left_out.py
"""

from __future__ import annotations

from swarm.lab.simulation.ablation_study import run_ablations
from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.simulated_swarm import SimulatedSwarm, simulate
from swarm.lab.simulation.study import Study


def test_it_is_measured_against_the_truth_and_takes_a_tenth_at_most() -> None:
    outcome = simulate(SimulatedSwarm(LANDSCAPES["klike"], 0.0006, gpus=4, hours=3.5, seed=2, ablation=True))
    found = outcome.left_out
    assert found is not None and 0 < found.steps <= outcome.standing
    assert 0 < found.runs <= 0.1 * outcome.runs
    assert found.dropped_nulls <= min(found.dropped, found.nulls) and found.covered <= found.seen <= found.steps
    assert (found.lines_saved > 0) == (found.dropped > 0)
    assert found.dropped > 0 or found.lost == 0


def test_a_swarm_too_short_for_one_says_so() -> None:
    flat = run_ablations(Study(swarms=1, hours=0.5, gpus=1, sigmas=(0.0006,), landscapes=("default",), workers=1))
    assert flat["ablations_all"] == 0 and flat["nulls_dropped_all"] is None
