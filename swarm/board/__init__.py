"""Who may try what, and what it means: the rules of the findings board, each a set of transactions on the ledger.

Never imports execution or researchers.
"""
