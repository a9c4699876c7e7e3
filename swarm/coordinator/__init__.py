"""The head of a swarm and its Ray actors.

The only room that imports ray.
"""
