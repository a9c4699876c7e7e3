"""What people see in a terminal and in files: leaderboard, status, one experiment, report, export.

Draws a Snapshot; may import snapshot and all rooms below it, never the lab.
"""
