"""One consistent picture of a swarm, for whoever shows it."""
