"""Runs one training process: workspace, guard process, sandbox, resource limits, and the outcome of the run.

Never imports the board.
"""
