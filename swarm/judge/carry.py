"""One run decides what the trunk carries; what all runs say decides what is called kept.

Two questions are kept apart. *Does the trunk take the step?* needs no more than a gain to be expected, for a step that
turns out to lose is undone at no cost. *Is it a discovery?* needs a chance, which every later run moves, as each child
that is run measures its parent again (swarm/judge/trunk_levels.py). So neither is worth a replicate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from swarm.judge.effects import Effects, Seen
from swarm.judge.exact import exact
from swarm.judge.race import STANDARD, Arm, Rules, toll_of, unseen
from swarm.judge.rounding import gain_over
from swarm.judge.trunk_levels import Belief
from swarm.records import Outcome, Rung, Status, Verdict


def carry(arms: Sequence[Arm], sigma: float | None, rules: Rules = STANDARD, added_size: int = 0) -> Verdict:
    """The rule on the runs at hand alone, where the levels of the trunk say nothing; with them it is `by_belief`.

    Without noise (`sigma` 0) one run is the truth. Where nothing was repeated yet, the parent runs once more first.
    """
    measured = [arm for arm in arms if arm.candidate and arm.parent]
    if not measured:
        return unseen(arms)
    if sigma:
        seen = _seen(measured, sigma)
        belief = Belief(sigma, seen, Effects().of(seen))
        return by_belief(belief, sum(len(arm.candidate) for arm in arms), rules, added_size)
    if sigma == 0 or len(measured[-1].parent) > 1:
        return exact(arms, sigma, rules, added_size)
    reason = "its parent runs once more first: no noise is known yet"
    seen = sum(len(arm.candidate) for arm in arms)
    return Verdict(None, None, None, seen, reason, Outcome.UNDECIDED, refresh=True)


def by_belief(belief: Belief, runs: int, rules: Rules = STANDARD, added_size: int = 0) -> Verdict:
    """The rule: a gain to be expected advances the trunk; added code must pay a toll, and simpler code may lose a
    little. `runs` are the experiment's own."""
    effect, gain = belief.effect, belief.sigma * belief.seen.x
    se, real = belief.sigma * belief.seen.s, effect.real
    expected = f"{_shown(belief.sigma * effect.mean, se)} expected after {gain:+.{_decimals(se)}f} ± {_plain(se)} seen"
    if gain > max(rules.outlier * belief.sigma, rules.outlier_gain) and runs < rules.outlier_runs:
        reason = f"so large a gain needs {rules.outlier_runs} runs: {expected}"
        return Verdict(None, gain, se, runs, reason, Outcome.UNDECIDED)
    rung = Rung.KEPT if real >= rules.kept_from else Rung.CARRIED
    toll = toll_of(added_size, rules)
    if effect.mean >= rules.carry_gain + toll:
        reason = f"{expected}, p={real:.2f}"
        return Verdict(Status.KEEP, gain, se, runs, reason, Outcome.GAINED, rung, real=real)
    if added_size <= -rules.simpler_size and effect.mean >= -rules.simpler_loss:
        reason = f"simpler by {-added_size} nodes and hardly worse: {expected}"
        return Verdict(Status.KEEP, gain, se, runs, reason, Outcome.SIMPLER, rung, real=real)
    paid = " to pay for the added code" if effect.mean >= rules.carry_gain else ""
    return Verdict(Status.DISCARD, gain, se, runs, f"too little{paid}: {expected}", Outcome.NO_GAIN)


def _seen(arms: Sequence[Arm], sigma: float) -> Seen:
    """The gain over all arms, each weighted by its inverse variance."""
    weights = [1 / (1 / len(arm.candidate) + 1 / len(arm.parent)) for arm in arms]
    gains = [gain_over(fmean(arm.parent), fmean(arm.candidate)) / sigma for arm in arms]
    return Seen(fmean(gains, weights), 1 / math.sqrt(math.fsum(weights)))


def _decimals(se: float) -> int:
    return min(9, max(0, 1 - math.floor(math.log10(se))))


def _plain(se: float) -> str:
    return f"{se:.{_decimals(se)}f}"


def _shown(value: float, se: float) -> str:
    return f"{value:+.{_decimals(se)}f}"
