"""The guard of a run: a process that starts its steps, holds them to their limits, and ends all that they started.

It starts anew with every run, so it imports the stdlib only.
"""
