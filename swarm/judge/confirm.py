"""Champions: the strict test on fresh seeds, what earns one, and the interval of a mean.

Values are sign-normalised: lower is better, gains are positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import variance

from msgspec import Struct

from swarm.judge import student
from swarm.judge.noise import pooled
from swarm.judge.rounding import gain_over

FRESH_RUNS = 4  # of each arm
UNSTEADY_RUNS = 8  # of each arm, where the candidate is noisier than everything else
UNSTEADY = 3.0  # times the pooled variance, from where on a candidate's own variance counts
LEVEL = 0.005  # one-sided; ten tests bound a swarm without any effect at 5%
TESTS = 10  # confirmations of a swarm
SHARE = 0.1  # of a swarm's runs, for all of its confirmations
EARNED = 2.0  # sigmas of shrunken gain that deserve a confirmation
SPREAD = 2.5  # sigmas: the deviation of real gains (0.0015 val_bpb at a sigma of 0.0006)


class Confirmation(Struct, frozen=True):
    """A candidate against the champion on fresh runs: the gain, its 95% interval, and the one-sided p.

    `wanted` is how many fresh runs each arm should have: while there are fewer, nothing is confirmed.
    """

    gain: float
    low: float
    high: float
    p: float
    n: int
    m: int
    wanted: int
    confirmed: bool


def confirm(
    candidate: Sequence[float],
    champion: Sequence[float],
    sigma: float | None,
    df: float = math.inf,
    level: float = LEVEL,
) -> Confirmation:
    """The strict test, on runs that nobody selected: `sigma` and its `df` are the pooled ones of the whole swarm.

    Welch's test on the runs' own variances takes over where sigma is not known, or where the candidate is more
    than UNSTEADY times as variable: a recipe that only sometimes works is no champion. Each arm needs two runs.
    """
    if min(len(candidate), len(champion)) < 2:
        raise ValueError("a confirmation needs at least two fresh runs of each arm")
    n, m = len(candidate), len(champion)
    gain = gain_over(math.fsum(champion) / m, math.fsum(candidate) / n)
    if sigma is None or variance(candidate) > UNSTEADY * sigma**2:
        wanted, (se, df) = UNSTEADY_RUNS, _welch(candidate, champion)
    else:
        wanted, se = FRESH_RUNS, sigma * math.sqrt(1 / n + 1 / m)
    p = _tail(gain, se, df)
    low, high = around(gain, se, df)
    return Confirmation(gain, low, high, p, n, m, wanted, confirmed=min(n, m) >= wanted and p < level)


def affordable(tests: int, spent: int, runs: int, last: bool = False, share: float = SHARE) -> bool:
    """Whether the swarm can pay for another confirmation: `tests` were made, with `spent` runs, of `runs` in all, of
    which a `share` may be spent so.

    Before the swarm's end as much must be left over as the `last` one costs. So a short swarm, or one on a single
    GPU, makes none: its closing wave is its only test.
    """
    reserve = 0 if last else 1
    return tests + reserve < TESTS and spent + 2 * FRESH_RUNS * (1 + reserve) <= share * runs


def deserves_confirmation(gain: float, se: float, sigma: float) -> bool:
    """Whether a gain over the champion, found among many, is still worth a confirmation when it is shrunken."""
    return shrunken(gain, se, SPREAD * sigma) > EARNED * sigma


def shrunken(gain: float, se: float, tau: float) -> float:
    """The gain to expect behind a measured one, which is partly luck. `tau` is the deviation of real gains.

    What was measured without any error is as it is.
    """
    return gain * (tau / math.hypot(tau, se)) ** 2 if se else gain


def interval(values: Sequence[float], sigma: float | None, df: float = math.inf) -> tuple[float, float] | None:
    """95% interval of the mean, from the values' own deviation where sigma is None; None where nothing gives one."""
    if sigma is None:
        sigma, df = pooled([values])
    if sigma is None or not values:
        return None
    return around(math.fsum(values) / len(values), sigma / math.sqrt(len(values)), df)


def around(estimate: float, se: float, df: float = math.inf) -> tuple[float, float]:
    """95% interval of an estimate with standard error `se`, itself known with `df` degrees of freedom."""
    half = se * _quantile(0.975, df)
    return estimate - half, estimate + half


def _welch(candidate: Sequence[float], champion: Sequence[float]) -> tuple[float, float]:
    """Standard error of the difference and its degrees of freedom, for arms of different variance."""
    a, b = variance(candidate) / len(candidate), variance(champion) / len(champion)
    if a + b == 0:
        return 0.0, len(candidate) + len(champion) - 2.0
    return math.sqrt(a + b), (a + b) ** 2 / (a**2 / (len(candidate) - 1) + b**2 / (len(champion) - 1))


def _tail(gain: float, se: float, df: float) -> float:
    """The chance of such a gain, or a larger one, where there is none."""
    if se == 0:
        return 0.5 if gain == 0 else float(gain < 0)
    return student.cdf(df, -gain / se)


def _quantile(share: float, df: float) -> float:
    return student.quantile(df, share)
