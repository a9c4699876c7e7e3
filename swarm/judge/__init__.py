"""What is true: pure functions from measured numbers to verdicts."""
