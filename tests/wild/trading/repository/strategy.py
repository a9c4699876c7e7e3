"""Holds the asset, or not, by two moving averages."""

FAST = 3
SLOW = 5


def position(prices):
    if len(prices) < SLOW:
        return 0.0
    fast = sum(prices[-FAST:]) / FAST
    slow = sum(prices[-SLOW:]) / SLOW
    return 1.0 if fast > slow else 0.0
