"""Whether two ideas, two changes or two whole codes are the same: pure functions."""
