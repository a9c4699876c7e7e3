"""What is researched, and how a swarm on it is launched: settings, the project's keys, and what detection finds."""
