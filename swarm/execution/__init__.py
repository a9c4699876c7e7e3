"""Where a run happens: workspace, guard process, sandbox, runner, and what came of it.

Imports project and records; never the board.
"""
