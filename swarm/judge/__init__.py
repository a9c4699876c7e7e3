"""What is true: pure functions from measured values to verdicts.

Imports nothing but records and errors.
"""
