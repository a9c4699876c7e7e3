"""Before a swarm starts: the plan, the GPUs, the data, and what `doctor` examines."""
