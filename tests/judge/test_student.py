"""Student's t held against SciPy's, which nobody who only looks should wait for."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import ndtr, stdtr, stdtrit

from swarm.judge import student

DEGREES = st.floats(0.5, 1e6) | st.integers(1, 200).map(float)


@given(DEGREES, st.floats(-50, 50))
@example(1.0, -1e8)
@example(3.7, 0.0)
@example(1e6, -8.0)
@example(1e9, -3.0)
def test_chances(df: float, t: float) -> None:
    assert student.cdf(df, t) == pytest.approx(float(stdtr(df, t)), rel=1e-8, abs=1e-290)


@given(DEGREES, st.floats(1e-12, 1 - 1e-12))
@example(1.0, 0.999)
@example(1e6, 0.975)
@example(2.0, 0.5)
def test_quantiles(df: float, share: float) -> None:
    t = student.quantile(df, share)
    assert t == pytest.approx(float(stdtrit(df, share)), rel=1e-6, abs=1e-9)
    tail = min(share, 1 - share)
    assert student.cdf(df, -abs(t)) == pytest.approx(tail, rel=1e-9), "which is the inverse"


def test_the_known_table() -> None:
    table = ((1, 12.706204736), (4, 2.7764451052), (7, 2.3646242516), (30, 2.0422724563), (math.inf, 1.9599639845))
    for df, t in table:
        assert student.quantile(df, 0.975) == pytest.approx(t, rel=1e-9)


@given(st.floats(-37, 37))
def test_the_normal_law_is_the_limit(x: float) -> None:
    assert student.cdf(math.inf, x) == student.normal_cdf(x) == pytest.approx(float(ndtr(x)), rel=1e-12)


def test_what_has_no_answer() -> None:
    assert math.isnan(student.cdf(0, 1)) and math.isnan(student.cdf(3, math.nan)) and math.isnan(student.quantile(3, 2))
    assert student.quantile(3, 0) == -math.inf and student.quantile(3, 1) == math.inf
    assert student.cdf(3, math.inf) == 1 and student.cdf(3, -math.inf) == 0 and student.cdf(3, -1e200) == 0
