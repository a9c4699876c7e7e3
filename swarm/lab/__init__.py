"""For people who change the swarm: simulation, chaos tests, benchmarks, and a made-up swarm for the views.

May import any room but cli. No room imports it; the verbs of cli/develop.py do, when they are called.
"""
