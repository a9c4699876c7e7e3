"""Chaos testing, `python -m swarm chaos`: injects faults into a real swarm and checks that nothing was lost."""
