"""What the swarm knows: the ledger (SQLite) and the rules over it."""
