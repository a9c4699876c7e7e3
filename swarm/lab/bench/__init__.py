"""How fast the swarm itself is: the board under load, the share of time that GPUs train, the overhead of a run."""
