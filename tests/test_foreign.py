"""Numbers, texts and JSON that others wrote: nothing in them raises, and what comes of it can be reckoned with."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm import foreign
from swarm.codec import decode, encode
from swarm.records import Metrics

NUMBERS = st.one_of(st.integers(), st.floats(), st.just(10**400), st.just(-(10**400)), st.integers(2**50, 2**70))
PLAIN = st.one_of(NUMBERS, st.text(), st.booleans(), st.none())
ANYTHING = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("-2.5", -2.5), ('{"a": [1, "x", null, true]}', {"a": [1, "x", None, True]}), ("Infinity", math.inf),
        ("9" * 400, math.inf), ("-" + "9" * 400, -math.inf), ("9" * 1_000_000, math.inf), ("1e999", math.inf),
        ("123456789012345678", 123456789012345678), (b'"\xc3\xa9"', "é"),
    ],
)  # fmt: skip
def test_what_is_json_is_read(text, value):
    assert foreign.parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[" * 100_000, '{"a":' * 100_000, "nope", b"\xff\xfe\x00", b"\x00", "0x10", "'a'", "[1,]"),
        *('{"a": 1, "a": 2}', '{"b": {"a": 1, "c": 2, "a": 1}}', "\ud800"),
    ],
)
def test_what_is_none_is_unreadable(text):
    with pytest.raises(foreign.Unreadable):
        foreign.parse(text)
    assert foreign.parse_object(text) == {}


@given(st.one_of(st.binary(), st.text(st.sampled_from('[]{}",:0123456789eE+-.naitfulrs"\\u \n'))))
def test_no_bytes_raise_anything_else(content):
    with contextlib.suppress(foreign.Unreadable):
        foreign.parse(content)
    assert isinstance(foreign.parse_object(content), dict)


@given(ANYTHING)
def test_what_comes_of_anything_can_be_reckoned_with(value):
    number, finite, count = foreign.number(value), foreign.finite(value), foreign.count(value)
    if number is not None and not math.isnan(number):
        assert math.isinf(number) or (number**4 >= 0 and math.isfinite(number**4))
    assert finite is None or (finite == number and math.isfinite(finite))
    assert count is None or (0 <= count <= 2**53 and math.log1p(count) >= 0)
    assert len(foreign.text(value)) <= foreign.TEXT
    assert (number is None) == (isinstance(value, bool) or not isinstance(value, (int, float)))
    metrics = Metrics(1.0, False, values={"x": foreign.plain(value)})
    assert decode(encode(metrics)) == metrics or "\ud800" <= max(foreign.text(value), default="") <= "\udfff"


def test_bounds_are_part_of_the_range():
    assert foreign.finite(0, 0, 1) == 0 and foreign.finite(1, 0, 1) == 1 and foreign.finite(-1, 0, 1) is None
    assert foreign.count(2.9) == 2 and foreign.count(-1) is None and foreign.count(True) is None
    assert foreign.plain(True) == "true" and foreign.plain(2**53) == 2.0**53 and foreign.plain(math.nan) is None
    assert foreign.text([1]) == "" and foreign.text(10**400) == "inf" and foreign.text("é" * 3000) == "é" * 2000


def test_a_value_of_json_is_what_json_says():
    whole = {"a": 1, "b": [1.5, {"c": "x"}], "d": None}
    assert foreign.parse(json.dumps(whole)) == foreign.parse_object(json.dumps(whole)) == whole
