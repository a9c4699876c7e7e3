"""Values by their field's type: converted, or refused in one line that names them."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import UsageError
from swarm.project.project import Project
from swarm.project.values import read_value

KEYS = {name: hint for name, hint in typing.get_type_hints(Project, include_extras=True).items() if name != "origins"}


@pytest.mark.parametrize(
    ("value", "hint", "read"),
    [
        ("8", int | None, 8),
        (" 8 ", float, 8.0),
        ("8.0", int, 8),
        (8, str | None, "8"),
        ("Yes", bool, True),
        ("off", bool, False),
        ("0", bool, False),
        ("TRUE", bool, True),
        ("null", str, "null"),
    ],
)
def test_from_text(value: Any, hint: Any, read: Any) -> None:
    converted = read_value(value, hint, "x", from_text=True)
    assert converted == read and type(converted) is type(read)


@pytest.mark.parametrize(
    ("value", "hint", "wanted"),
    [
        ("null", float | None, "a number, not 'null'"),
        ("", int, "a whole number, not ''"),
        (2**63, int, "a whole number, not 9223372036854775808"),
        (True, str, "a text, not True"),
        (True, int, "a whole number, not True"),
        ("maybe", bool, "true or false, not 'maybe'"),
    ],
)
def test_what_no_text_can_mean_is_refused(value: Any, hint: Any, wanted: str) -> None:
    with pytest.raises(UsageError) as said:
        read_value(value, hint, "--x", from_text=True)
    assert str(said.value) == f"--x must be {wanted}"


def test_toml_says_what_it_means() -> None:
    for value, hint in (("8", int), ("8", float), (8, str), ("true", bool), (1, bool)):
        with pytest.raises(UsageError):
            read_value(value, hint, "x")
    assert read_value({"cpu": 1}, Mapping[str, float], "sigma") == {"cpu": 1.0}


@given(
    st.sampled_from(list(KEYS)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
)
def test_garbage_in_a_key_is_refused_in_one_line(key: str, value: Any) -> None:
    try:
        read_value(value, KEYS[key], f"swarm.toml: {key}")
    except UsageError as error:
        assert str(error).startswith(f"swarm.toml: {key}") and "\n" not in str(error)
