"""Makes one run: a slot, a workspace, a spec of steps for the guard, and at the end the outcome, read into one Run.

Never imports the board. Its rooms, in the order in which a run meets them: guard/ starts and ends the steps, sandbox/
is what they can reach, reading/ reads what they left, validity/ says whether it counts; machine/ is beneath all.
"""
