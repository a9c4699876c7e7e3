"""Copies judged experiments into experiment trackers, in a process of its own that only reads the ledger.

Imports ledger and what lies under it. Nothing that judges, runs or thinks imports it.
"""
