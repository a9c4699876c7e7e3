"""What a model may take in the referee: as much as the untouched code's, and more where it also trained more slowly."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.validity.reading_check import Reading, trained_while_read
from swarm.records import Check, Failure

KNOWN = Reading(load=0.12, first=0.4, calls=1.2, usual=1.2, price=6e-5, sealed=True)
VALUES = {
    "reader_load": 0.12, "reader_first": 0.4, "reader_calls": 1.2, "reader_usual": 1.2, "readers": "sealed",
    "seconds_within": 20.0, "loaded_tokens": 333_333,
}  # fmt: skip


def test_it_is_read_from_what_a_run_measured_and_kept_for_others() -> None:
    reading = Reading.of(VALUES)
    assert reading and reading == replace(KNOWN, price=20.0 / 333_333) and Reading.kept(asdict(reading)) == reading
    assert Reading.of({**VALUES, "reader_calls": "many"}) is None and Reading.of({}) is None


@given(st.one_of(st.none(), st.integers(), st.dictionaries(st.sampled_from(list(asdict(KNOWN))), st.text())))
def test_nothing_that_is_stored_raises(stored: object) -> None:
    assert Reading.kept(stored) is None


@pytest.mark.parametrize("budget", [2.0, 20.0, 300.0])
@pytest.mark.parametrize(
    ("field", "what"), [("load", "to be loaded"), ("first", "at its first call"), ("calls", "to be read with")]
)
def test_training_in_the_referee_is_found_wherever_it_is(budget: float, field: str, what: str) -> None:
    """Half a second at two; at twenty what a few percent of the budget are."""
    more = getattr(KNOWN, field) + 0.25 * budget + 1.5
    own = replace(KNOWN, **{field: more, "usual": more if field == "calls" else KNOWN.usual})
    found = trained_while_read(own, KNOWN, budget, "cpu")
    assert found and (found.failure, found.check) == (Failure.INVALID, Check.CLOCK)
    assert found.reason.startswith("clock: its model took ") and what in found.reason


def test_one_call_that_takes_far_longer_than_the_others_did_more_than_read() -> None:
    own = replace(KNOWN, calls=2.4, usual=1.0)
    found = trained_while_read(own, KNOWN, 20.0, "cpu")
    assert found and "in a few of its calls" in found.reason


@pytest.mark.parametrize("budget", [2.0, 20.0, 300.0])
@pytest.mark.parametrize("load", [1.0, 1.8])
def test_honest_models_pass_also_where_others_share_the_machine(budget: float, load: float) -> None:
    busy = Reading(0.12 * load, 0.4 * load, 1.2 * load, 1.1 * load, 6e-5 * load, True)
    assert trained_while_read(busy, KNOWN, budget, "cpu") is None
    large = Reading(0.3, 1.6 * load, 4.8 * load, 4.7 * load, 24e-5, True)
    assert trained_while_read(large, KNOWN, budget, "cpu") is None, "four times the model, four times the price"


def test_a_slow_training_does_not_buy_whatever_time() -> None:
    own = replace(KNOWN, calls=60.0, usual=60.0, price=1.0)
    assert trained_while_read(own, KNOWN, 20.0, "cpu")


def test_what_cannot_be_compared_is_not() -> None:
    mine = replace(KNOWN, calls=1000.0)
    assert trained_while_read(mine, None, 20.0, "cpu") is None and trained_while_read(None, None, 20.0, "cpu") is None
    assert trained_while_read(mine, replace(KNOWN, sealed=False), 20.0, "cpu") is None


def test_where_it_is_known_of_the_untouched_code_no_run_goes_without() -> None:
    found = trained_while_read(None, KNOWN, 20.0, "cpu")
    assert found and (found.failure, found.check) == (Failure.INVALID, Check.CLOCK)


def test_a_training_that_does_not_say_how_far_it_came_is_held_to_the_untouched_codes_time() -> None:
    own = Reading.of({name: value for name, value in VALUES.items() if name != "loaded_tokens"} | {"reader_calls": 9.0})
    assert own and own.price == 0.0 and trained_while_read(own, KNOWN, 2.0, "cpu")


def test_a_first_call_on_a_gpu_may_compile() -> None:
    known = replace(KNOWN, first=3.0, sealed=False)
    assert trained_while_read(replace(known, first=200.0), known, 300.0, "cuda") is None
    assert trained_while_read(replace(known, first=300.0), known, 300.0, "cuda")
    assert trained_while_read(replace(known, load=60.0), known, 300.0, "cuda")
