"""Simulated swarms on a virtual clock, and a synthetic project that can be run: both with known true values."""
