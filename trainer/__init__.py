"""What runs on a GPU: train.py, the one file agents edit, and the fixed files around it. Knows nothing of the swarm."""


class SetupError(Exception):
    """The run cannot start; the message is one line and says what to do."""
