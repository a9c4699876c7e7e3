"""What people see in a terminal and in files: leaderboard, status, one experiment, report, export.

Draws a Snapshot; never imports the lab.
"""
