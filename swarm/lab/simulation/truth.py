"""The true metric of the synthetic problem, for checks of whether what was kept is real."""

from __future__ import annotations

from swarm.lab.simulation.template.prepare import true_val_bpb
from swarm.researchers.sweep.knobs import read_knobs


def true_value(text: str) -> float:
    """The val_bpb that a train.py with this content reaches on average; KeyError where it lacks a knob."""
    return true_val_bpb({name.lower(): value for name, value in read_knobs(text, "sim").items()})
