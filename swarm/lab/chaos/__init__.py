"""Hurts a real swarm again and again, from outside, and checks that nothing was lost: `python -m swarm chaos`."""
