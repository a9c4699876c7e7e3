"""The ledger as git commits, branches and results.tsv; results of other tools brought in."""
