"""The rule where nothing is left to chance: equal code gives equal numbers, so that one run decides.

Values are sign-normalised: lower is better, so a gain is the parent's number less the candidate's.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.judge.race import STANDARD, Arm, Rules, unseen
from swarm.judge.rounding import gain_over
from swarm.records import Outcome, Rung, Status, Verdict


def exact(arms: Sequence[Arm], sigma: float | None, rules: Rules = STANDARD, added_size: int = 0) -> Verdict:
    """Keeps every gain, however small, on its first run; of equal numbers the simpler code's wins.

    There is no noise, so `sigma` says nothing here and added code pays no toll. What differs by less than rounding
    (swarm/judge/rounding.py) is equal.
    """
    measured = [arm for arm in arms if arm.candidate and arm.parent]
    if not measured:
        return unseen(arms)
    newest = measured[-1]
    gain = gain_over(newest.parent[-1], newest.candidate[-1])
    if gain > 0:
        return _kept(Outcome.GAINED, gain, f"better than its parent by {gain:.6g}: equal code gives equal numbers")
    if gain == 0 and added_size <= -rules.simpler_size:
        return _kept(Outcome.SIMPLER, gain, f"simpler by {-added_size} nodes: the very number of its parent")
    reason = f"worse than its parent by {-gain:.6g}" if gain else "the very number of its parent"
    return Verdict(Status.DISCARD, gain, 0.0, 1, reason, Outcome.NO_GAIN)


def _kept(outcome: Outcome, gain: float, reason: str) -> Verdict:
    return Verdict(Status.KEEP, gain, 0.0, 1, reason, outcome, Rung.KEPT)


def is_repeated(values: Sequence[float]) -> bool:
    """Whether these runs of the same code gave the same number, as this rule takes for granted."""
    return all(gain_over(value, values[0]) == 0 for value in values)
