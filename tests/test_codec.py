"""Records cross every border as JSON and come back equal."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.codec import RECORDS, decode, encode
from swarm.records import Failure, Idea, Metrics, Rebase, Repair, Run, Source

NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=20)
KNOBS = st.dictionaries(TEXT, NUMBERS | TEXT, max_size=3)
IDEAS = st.builds(Idea, TEXT, TEXT, TEXT, KNOBS)
FILES = st.dictionaries(TEXT, st.binary(max_size=20), max_size=3)


def values(cls: type) -> st.SearchStrategy[Any]:
    """Any instance of the record, field by field from its hints."""
    fixed: dict[type, st.SearchStrategy[Any]] = {Idea: IDEAS, Source: st.builds(Source, FILES)}
    if cls in fixed:
        return fixed[cls]
    return st.builds(cls, **{name: value(hint) for name, hint in typing.get_type_hints(cls).items()})


def value(hint: Any) -> st.SearchStrategy[Any]:
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        int: st.integers(-(2**60), 2**60),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        type(None): st.none(),
        bytes: st.binary(max_size=20),
    }
    if hint in simple:
        return simple[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        inner = [value(part) for part in arguments if part is not Ellipsis]
        return st.lists(inner[0], max_size=2).map(tuple) if Ellipsis in arguments else st.tuples(*inner)
    if dataclasses.is_dataclass(hint):
        return values(hint)
    if isinstance(hint, type) and issubclass(hint, str):
        return st.sampled_from(list(hint))  # type: ignore[call-overload]
    if origin is not None and "Mapping" in str(origin):
        return st.dictionaries(TEXT, value(arguments[1]), max_size=2)
    return st.one_of([value(part) for part in arguments])  # a union


@pytest.mark.parametrize("cls", RECORDS.values(), ids=lambda cls: cls.__name__)
def test_every_record_comes_back_equal(cls: type) -> None:
    @given(values(cls))
    def back_and_forth(record: Any) -> None:
        again = decode(encode(record))
        assert again == record and type(again) is cls
        for field in dataclasses.fields(record):
            assert type(getattr(again, field.name)) is type(getattr(record, field.name))

    back_and_forth()


def test_enumerations_come_back_as_such() -> None:
    run = decode(encode(Run("r", 1, 0.0, 1.0, 1.0, failure=Failure.OOM)))
    assert run.failure is Failure.OOM
    again = decode(encode(Repair("e", Idea("i"), "p", "s", run)))
    assert again.run.failure is Failure.OOM
    assert decode(encode(Rebase("e", Idea("i", knobs={"record": 1}), "b", "s", "o", 1))).idea.knobs == {"record": 1}


def test_numbers_that_are_none_become_none() -> None:
    run = Run(
        "r", 1, 0.0, 1.0, 1.0, metrics=Metrics(1.0, True, math.inf, math.nan, {"a": math.nan}), trace=(1.0, math.nan)
    )
    again = decode(encode(run))
    assert (again.metrics.peak_vram_mb, again.metrics.training_seconds) == (None, None)
    assert again.metrics.values == {"a": None} and again.trace == (1.0, None)


@pytest.mark.parametrize("value", [None, 1, "text", 1.5, True, ["a", 1]])
def test_plain_answers_cross_too(value: Any) -> None:
    assert decode(encode(value)) == (tuple(value) if isinstance(value, list) else value)


def test_nothing_else_can_be_named() -> None:
    with pytest.raises(KeyError):
        decode(json.dumps({"record": "Path", "path": "/"}))
    with pytest.raises(TypeError):
        encode(object())
