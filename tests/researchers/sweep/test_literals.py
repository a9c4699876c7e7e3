from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.researchers.sweep.literals import Literal, Place, is_telling, numbered, spelt, spliced


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("1e-3", 0.0015, "1.5e-3"),
        ("1e-03", 0.0002, "2e-04"),
        ("1.0E-3", 0.002, "2.0E-3"),
        ("1e3", 1500.0, "1.5e3"),
        ("0.1", 1e-05, "1e-05"),
        (".25", 0.5, ".5"),
        ("3.0f", 4.5, "4.5f"),
        ("0.5F", 0.75, "0.75F"),
        ("0.995_f64", 0.99, "0.99_f64"),
        ("64_000", 96_000, "96_000"),
        ("1'000'000", 2_000_000, "2'000'000"),
        ("10_000.0", 15_000.0, "15_000.0"),
        ("0x10", 32, "0x20"),
        ("0xFF", 171, "0xAB"),
        ("0b101", 6, "0b110"),
        ("100UL", 150, "150UL"),
        ("5usize", 8, "8usize"),
        ("2**19", 2**18, "2**18"),
        ("2 ** 19", 2**20, "2 ** 20"),
        ("1 << 14", 2**13, "1 << 13"),
        ("64 * 4", 300, "300"),
        ("-0.5", -0.7, "-0.7"),
        ("3", -3, "-3"),
        ("True", False, "False"),
        ("false", True, "true"),
        ("'adam'", "sgd", "'sgd'"),
        ('"adam"', "sgd", '"sgd"'),
        ("relu", "gelu", "gelu"),
    ],
)
def test_a_value_is_spelt_as_the_old_one_was(old: str, value: float | int | str, new: str) -> None:
    assert spelt(old, value) == new


@given(st.sampled_from(["1e-3", "0.1", ".5", "1.0e-05", "10_000.0", "-2.5"]), st.floats(1e-12, 1e12))
def test_a_spelt_fraction_is_read_as_the_same_number(old: str, value: float) -> None:
    assert float(spelt(old, value)) == value


@given(st.sampled_from(["7", "64_000", "0x1F", "0b11", "0o17", "-4"]), st.integers(1, 10**9))
def test_a_spelt_whole_number_is_read_as_the_same_number(old: str, value: int) -> None:
    assert int(spelt(old, value), 0) == value


def test_the_second_of_a_name_is_numbered_in_the_order_of_the_text() -> None:
    late, early = (Literal("Dropout.p", start, start + 3, 0.1, Place.ARGUMENT) for start in (20, 5))
    assert numbered([late, early]) == {"Dropout.p": early, "Dropout.p#2": late}


def test_only_the_places_that_change_are_written() -> None:
    one, two = Literal("a", 4, 5, 1, Place.SETTING), Literal("b", 10, 13, 0.5, Place.SETTING)
    assert spliced("a = 1\nb = 0.5\n", {two: 0.25, one: 12}) == "a = 12\nb = 0.25\n"


def test_a_factor_that_changes_a_unit_is_no_weight() -> None:
    assert is_telling(Place.WEIGHT, 0.3) and not is_telling(Place.WEIGHT, 1000.0) and not is_telling(Place.WEIGHT, 1.0)
    assert is_telling(Place.BAR, 70) and is_telling(Place.BAR, 0.2) and not is_telling(Place.BAR, 2)
