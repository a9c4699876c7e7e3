"""Who may try what, and what it means: the rules of the findings board, each a set of transactions on the ledger.

Imports ledger, judge and novelty; never execution or researchers.
"""
