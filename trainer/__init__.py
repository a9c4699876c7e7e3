"""What runs on a GPU: train.py, the one file agents edit, and the fixed files around it. Knows nothing of the swarm."""
