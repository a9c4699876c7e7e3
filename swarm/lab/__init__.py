"""For people who change the swarm: simulation, chaos, benchmarks, a made-up swarm to look at.

Imports any room; none imports it, but cli by the names of its verbs.
"""
