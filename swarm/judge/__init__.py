"""What is true: pure functions from measured values to verdicts.

Knows no ledger and no run: values come in, verdicts go out.
"""
