"""What people see in a terminal and in files: leaderboard, report, show, export.

Imports snapshot and what lies under it; never the lab.
"""
