"""A swarm of sweeps on a few constants: it goes on for a night, and ends by itself where all was tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarm.lab.simulation import clock, knob_landscape
from swarm.lab.simulation.ideas import SETTINGS
from swarm.lab.simulation.knob_landscape import KnobTruth, untouched_knobs
from swarm.lab.simulation.landscape import LANDSCAPES, START
from swarm.lab.simulation.simulated_swarm import TAG, SimulatedSwarm, _Simulation, simulate
from swarm.ledger.events import is_exhausted
from swarm.ledger.experiments import experiments
from swarm.records import Source
from swarm.researchers.sweep.knobs import read_knobs, write_knobs

SWEEP = SimulatedSwarm(
    LANDSCAPES["default"], 0.0006, "greedy", hours=100.0, budget=10.0, think=0.5, open_end=True, researcher="sweep"
)


def turned(**knobs: float) -> Source:
    text = untouched_knobs().files[SETTINGS].decode()
    return Source({SETTINGS: write_knobs(text, "sim", knobs).encode()})


def test_what_can_be_gained_is_the_landscapes_room() -> None:
    for seed in range(5):
        truth = KnobTruth(LANDSCAPES["default"], seed)
        assert truth.value(untouched_knobs()) == pytest.approx(START)
        values = [truth.value(turned(MATRIX_LR=rate)) for rate in (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 10.0)]
        assert min(values) > START - LANDSCAPES["default"].room
    nothing = KnobTruth(LANDSCAPES["default"].null(), 1)
    assert nothing.value(untouched_knobs()) == pytest.approx(START)
    assert nothing.value(turned(MATRIX_LR=0.08, DEPTH=9, BETA2=0.5)) > START


def test_the_sweep_reads_all_its_constants() -> None:
    text = untouched_knobs().files[SETTINGS].decode()
    assert len(read_knobs(text, "sim")) == text.count(" = ") == 15


def test_equal_seeds_give_equal_swarms_of_sweeps_and_others_do_not() -> None:
    short = replace(SWEEP, gpus=3, max_experiments=25)
    assert simulate(short) == simulate(short) != simulate(replace(short, seed=1))


@pytest.mark.slow
def test_a_night_of_sweeps_does_not_dry_out() -> None:
    """The fault that this holds off: after some 350 experiments all agents rested, with nine refusals in ten."""
    outcome = simulate(replace(SWEEP, max_experiments=400))
    assert outcome.experiments == 400
    assert outcome.rate(340) >= 0.8 * outcome.rate(200)
    assert outcome.refused < 0.2 * outcome.proposals
    assert outcome.repeats_run == 0
    assert 0 < outcome.gain_at(outcome.judged[99]) < outcome.gain, "it still finds something after 100 experiments"


def test_where_all_was_tried_the_swarm_ends_at_once_and_without_a_storm_of_refusals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two counts, single and in pairs: every agent says that nothing is left, and no limit is needed."""
    monkeypatch.setattr(knob_landscape, "KNOBS", {})
    monkeypatch.setattr(knob_landscape, "WHOLE", {"DEPTH": 8, "MUON_STEPS": 3})
    simulation = _Simulation(replace(SWEEP, gpus=3, landscape=SWEEP.landscape.null(), open_end=False))
    outcome = clock.run(simulation.run())
    assert is_exhausted(simulation.ledger, TAG)
    assert 15 < outcome.experiments < 60
    assert outcome.refused < 0.2 * outcome.proposals
    last = max(row.judged for row in experiments(simulation.ledger, TAG) if row.judged)
    [ended] = simulation.ledger.rows("SELECT at FROM events WHERE kind = 'exhausted'")
    assert ended["at"] - last < 2 * SWEEP.budget
