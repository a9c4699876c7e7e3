"""The loop that a swarm is held against: one agent that thinks, edits, trains once, and keeps what looks better.

It has no board, so what it tried comes again in other words; it measures nothing twice; and its GPU waits while it
thinks. That is karpathy's autoresearch, on the ideas of a simulated swarm.
"""

from __future__ import annotations

import random

from swarm.lab.simulation.clock import HOUR
from swarm.lab.simulation.ideas import written
from swarm.lab.simulation.simulated_researcher import IdeaStream
from swarm.lab.simulation.simulated_swarm import SimulatedSwarm


def bare_gain(swarm: SimulatedSwarm) -> float:
    """The true gain, in val_bpb, of what this loop ends with on one GPU: in the hours of `swarm`, with its budget,
    thinking time and noise, on its ideas."""
    problem, ideas = swarm.problem(), IdeaStream(swarm.seed, swarm.repeats)
    words, noise = random.Random(f"{swarm.seed} gpu0"), random.Random(f"bare {swarm.seed}")
    code = problem.base
    best = noise.gauss(problem.value(code), swarm.sigma)
    left = swarm.hours * HOUR - swarm.budget
    while (left := left - swarm.think - swarm.budget) >= 0:
        idea = ideas.propose(words)
        edited = code.edited(written(ideas.draft(idea), code, words))
        measured = noise.gauss(problem.value(edited), swarm.sigma)
        if measured < best:
            code, best = edited, measured
    return problem.value(problem.base) - problem.value(code)
