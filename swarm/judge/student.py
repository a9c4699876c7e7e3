"""Student's t distribution in plain Python: what looks at a swarm must not wait a second for SciPy to be imported."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_STEPS = 100_000  # of a continued fraction, which needs some dozens, and more for degrees of freedom beyond a million
_TINY = 1e-300
_ENOUGH = 3e-16


def cdf(df: float, t: float) -> float:
    """The chance of at most `t` with `df` degrees of freedom (positive, or infinite); else NaN."""
    if math.isnan(t) or not df > 0:
        return math.nan
    if math.isinf(df):
        return normal_cdf(t)
    tail = 0.5 * _two_tails(df, t) if math.isfinite(t) else 0.0
    return tail if t < 0 else 1 - tail


def normal_cdf(x: float) -> float:
    """The chance of at most `x` under the normal law, exact far out in the tail too."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def quantile(df: float, share: float) -> float:
    """The value below which this share lies: the inverse of `cdf`. NaN where there is none."""
    if not df > 0 or not 0 <= share <= 1:
        return math.nan
    if share in (0.0, 1.0):
        return math.copysign(math.inf, share - 0.5)
    if math.isinf(df):
        return _NORMAL.inv_cdf(share)
    tail = min(share, 1 - share)
    t = _left_quantile(df, tail) if tail < 0.5 else 0.0
    return t if share < 0.5 else -t


def _left_quantile(df: float, tail: float) -> float:
    """Newton's steps between two bounds, and a bound's half where a step leads outside of them."""
    low, high = -1.0, 0.0
    while cdf(df, low) > tail:
        low, high = 2 * low, low
        if math.isinf(low):
            return low
    t = 0.5 * (low + high)
    for _ in range(200):
        miss = cdf(df, t) - tail
        low, high = (low, t) if miss > 0 else (t, high)
        step = t - miss / density if (density := _density(df, t)) > 0 else low
        following = step if low < step < high else 0.5 * (low + high)
        if abs(following - t) <= _ENOUGH * abs(t):
            return following
        t = following
    return t


def _density(df: float, t: float) -> float:
    return math.exp(_ln_ratio(df) - 0.5 * (df + 1) * math.log1p(t * t / df)) / math.sqrt(df * math.pi)


def _two_tails(df: float, t: float) -> float:
    """The regularized incomplete beta function I_x(df/2, 1/2) at x = df / (df + t^2)."""
    square = t * t
    if math.isinf(square):
        return 0.0
    x, y = df / (df + square), square / (df + square)  # y = 1 - x, without its loss of digits
    if y == 0:
        return 1.0
    a, b = 0.5 * df, 0.5
    front = math.exp(_ln_ratio(df) - 0.5 * math.log(math.pi) - a * math.log1p(square / df) + b * math.log(y))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, y) / b


def _ln_ratio(df: float) -> float:
    """ln(Gamma((df + 1) / 2) / Gamma(df / 2)); by its series where two large logarithms differ by little."""
    a = 0.5 * df
    if a < 100:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    return 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _apart(1 + term * d), _apart(1 + term / c)
            value *= c * d
        if abs(c * d - 1) <= _ENOUGH:
            break
    return value


def _apart(number: float) -> float:
    """The number, kept apart from 0."""
    return number if abs(number) > _TINY else _TINY
