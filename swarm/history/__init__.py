"""The ledger as git commits, branches and results.tsv; results of other tools brought in.

Imports ledger and what lies under it.
"""
