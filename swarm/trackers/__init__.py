"""Copies judged experiments into experiment trackers, in a process of its own that only reads the ledger.

Nothing that judges, runs or thinks imports it.
"""
