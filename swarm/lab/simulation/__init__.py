"""A synthetic research problem with a known truth, to try the swarm without a GPU."""
