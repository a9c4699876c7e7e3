"""One consistent picture of a swarm, for whoever shows it.

Imports ledger and what lies under it.
"""
