"""Runs one training process: workspace, guard process, sandbox, resource limits, and the outcome of the run.

Imports project and records; never the board.
"""
