"""What edited code can reach: the sandboxes, what they open and close, and whether a run failed for what is closed."""
