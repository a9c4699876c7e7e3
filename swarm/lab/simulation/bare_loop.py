"""The loop that a swarm is held against: one agent that thinks, edits, trains once, and keeps what looks better.

It has no board, so what it tried comes again in other words; it measures nothing twice; and its GPU waits while it
thinks. That is karpathy's autoresearch, on the ideas of a simulated swarm.
"""

from __future__ import annotations

import random

from swarm.lab.simulation.clock import HOUR
from swarm.lab.simulation.ideas import read, untouched, written
from swarm.lab.simulation.landscape import Truth
from swarm.lab.simulation.simulated_researcher import IdeaStream
from swarm.lab.simulation.simulated_swarm import SimulatedSwarm


def bare_gain(swarm: SimulatedSwarm) -> float:
    """The true gain, in val_bpb, of what this loop ends with on one GPU: in the hours of `swarm`, with its budget,
    thinking time and noise, on its ideas."""
    ideas, truth = IdeaStream(swarm.seed, swarm.repeats), Truth(swarm.landscape, swarm.seed)
    words, noise = random.Random(f"{swarm.seed} gpu0"), random.Random(f"bare {swarm.seed}")
    code, best, true = untouched(), noise.gauss(truth.value(()), swarm.sigma), truth.value(())
    left = swarm.hours * HOUR - swarm.budget
    while (left := left - swarm.think - swarm.budget) >= 0:
        idea = ideas.propose(words)
        edit = written(ideas.draft(idea), code, words)
        edited = code.edited(edit)
        value = truth.value(ideas.numbers[change] for change in read(edited))
        measured = noise.gauss(value, swarm.sigma)
        if measured < best:
            code, best, true = edited, measured, value
    return truth.value(()) - true
