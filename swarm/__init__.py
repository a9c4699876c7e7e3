"""autoresearch swarm: one research agent per GPU, one findings board, results that are real."""

__version__ = "0.1.0"
