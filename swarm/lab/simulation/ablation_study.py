"""The study behind `swarm simulate --ablation`: what the ablation at a swarm's end drops, and what that loses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from swarm.lab.simulation.figures import Figure, ratio
from swarm.lab.simulation.left_out import LeftOut
from swarm.lab.simulation.simulated_swarm import Outcome, SimulatedSwarm, simulate
from swarm.lab.simulation.study import Study, key

AIMS = {"nulls_dropped": ">= 0.8", "gain_lost": "<= 0.05", "ablation_runs": "<= 0.1"}  # by the beginning of their names


def run_ablations(study: Study, on_progress: Callable[[int, int], Any] = lambda done, of: None) -> dict[str, Any]:
    """Simulates the study's swarms with an ablation at their end; gives one flat object, as `Results.flat`."""
    cells = {
        f"{key(sigma)}_{landscape}": [replace(swarm, ablation=True) for swarm in study.cell(sigma, landscape)]
        for sigma, landscape in study.cells
    }
    swarms = [swarm for cell in cells.values() for swarm in cell]
    outcomes: dict[SimulatedSwarm, Outcome] = {}
    with ProcessPoolExecutor(study.workers or os.cpu_count()) as pool:
        for swarm, outcome in zip(swarms, pool.map(simulate, swarms), strict=True):
            outcomes[swarm] = outcome
            on_progress(len(outcomes), len(swarms))
    flat: dict[str, float | None] = {}
    for name, cell in {**cells, "all": swarms}.items():
        found = [(outcomes[swarm].left_out, outcomes[swarm].runs) for swarm in cell]
        for what, figure in _figures(found):
            flat |= {f"{what}_{name}": figure.value, f"se_{what}_{name}": figure.se}
    return flat


def _figures(found: Sequence[tuple[LeftOut | None, int]]) -> Iterator[tuple[str, Figure]]:
    """The figures of several swarms, each its ablation and the number of all its runs."""
    known = [(one, runs) for one, runs in found if one]

    def share(part: Callable[[LeftOut], float], whole: Callable[[LeftOut], float]) -> Figure:
        return ratio([part(one) for one, _ in known], [whole(one) for one, _ in known])

    yield "ablations", Figure(len(known))
    yield "nulls_dropped", share(lambda one: one.dropped_nulls, lambda one: one.nulls)
    yield "dropped_are_null", share(lambda one: one.dropped_nulls, lambda one: one.dropped)
    yield "dropped_of_steps", share(lambda one: one.dropped, lambda one: one.steps)
    yield "gain_lost", share(lambda one: one.lost, lambda one: one.gain)
    yield "lines_saved", share(lambda one: one.lines_saved, lambda one: one.lines)
    yield "steps_measured", share(lambda one: one.seen, lambda one: one.steps)
    yield "intervals_that_hold", share(lambda one: one.covered, lambda one: one.seen)
    yield "ablation_runs", ratio([one.runs for one, _ in known], [runs for _, runs in known])
