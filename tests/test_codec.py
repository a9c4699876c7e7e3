"""Records cross every border as JSON and come back equal."""

from __future__ import annotations

import json
import math
import sqlite3
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.codec import RECORDS, decode, encode
from swarm.records import Check, Claim, Failure, Idea, Metrics, Rebase, Repair, Run, Source, Stop

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
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
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
        for name in cls.__struct_fields__:
            assert type(getattr(again, name)) is type(getattr(record, name))

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
    for text in (json.dumps({"record": "Path", "path": "/"}), '{"kind":"Path","path":"/"}', '{"kind":"Any","a":1}'):
        with pytest.raises(KeyError):
            decode(text)
    with pytest.raises(TypeError):
        encode(object())
    assert not any("kind" in cls.__struct_fields__ for cls in RECORDS.values()), "it is what names the record"


EARLIER = (  # as ledgers of versions before msgspec hold them
    (
        '{"attempt":1,"check":"clock","curve":[[1.0,2.0],[2.0,1.5]],"failure":"oom","log":"","log_tail":"","metrics":'
        '{"audited":true,"hidden":1.01,"peak_vram_mb":null,"record":"Metrics","training_seconds":null,"value":0.99,'
        '"values":{"map":{"depth":3,"map":"x","mfu":null}}},"reason":"","record":"Run","run":"apr5-gpu0-0001.1",'
        '"sandboxed":false,"seconds":300.5,"started":1000000000.0,"trace":[2.0,null],"training_seconds":290.0}',
        Run(
            *("apr5-gpu0-0001.1", 1, 1e9, 300.5, 290.0),
            metrics=Metrics(0.99, True, values={"mfu": None, "depth": 3, "map": "x"}, hidden=1.01),
            failure=Failure.OOM,
            trace=(2.0, None),
            curve=((1.0, 2.0), (2.0, 1.5)),
            check=Check.CLOCK,
        ),
    ),
    (
        '{"files":{"map":{"bytes":{"bytes":"/w=="},"train.py":{"bytes":"ZGVwdGggPSAzCg=="}}},"record":"Source"}',
        Source({"train.py": b"depth = 3\n", "bytes": b"\xff"}),
    ),
    (
        '{"base":"a","experiment":"e","idea":{"again":"","category":"other","knobs":{"map":{"lr":0.5,"record":1}},'
        '"rationale":"","record":"Idea","title":"deeper"},"onto":"c","position":2,"record":"Rebase","source":"b"}',
        Rebase("e", Idea("deeper", knobs={"record": 1, "lr": 0.5}), "a", "b", "c", 2),
    ),
    (
        '{"experiment":"e","idea":{"again":"","category":"other","knobs":{"map":{}},"rationale":"","record":"Idea",'
        '"title":"i"},"parent":"p","record":"Repair","run":{"attempt":1,"curve":[],"failure":"code","log":"",'
        '"log_tail":"","metrics":null,"reason":"","record":"Run","run":"e.1","sandboxed":false,"seconds":1.0,'
        '"started":0.0,"trace":[],"training_seconds":1.0},"source":"s"}',
        Repair("e", Idea("i"), "p", "s", Run("e.1", 1, 0.0, 1.0, 1.0, failure=Failure.CODE)),
    ),
    ('{"reason":"half a character: \\ud83d","record":"Stop"}', Stop("half a character: \ud83d")),
    ("null", None),
    ("7", 7),
)


@pytest.mark.parametrize(("text", "record"), EARLIER)
def test_what_earlier_versions_wrote_is_still_read(text: str, record: Any) -> None:
    again = decode(text)
    assert again == record and type(again) is type(record)


def test_sql_looks_into_what_is_written() -> None:
    run = Run("r", 1, 0.0, 1.0, 1.0, metrics=Metrics(1.0, True, hidden=0.5))
    database = sqlite3.connect(":memory:")
    for text in (encode(run), EARLIER[0][0]):
        (hidden,) = database.execute("SELECT json_extract(?, '$.metrics.hidden')", (text,)).fetchone()
        assert hidden == decode(text).metrics.hidden
    database.close()


def test_whatever_a_program_prints_is_written_and_read() -> None:
    values = {"half": "\ud83d", "large": 10**40, "nan": math.nan, "whole": "\U0001f600"}
    run = decode(encode(Run("r", 1, 0.0, 1.0, 1.0, metrics=Metrics(1.0, True, values=values), log_tail="\udcff")))
    assert run.metrics.values == {"half": "?", "large": 10**40, "nan": None, "whole": "\U0001f600"}
    assert run.log_tail == "?"
    claim = Claim("e", "gpu0", 1, Idea("\ud83d", knobs={"lr": 0.5}), "p", 0)
    assert decode(encode(claim)).idea == Idea("?", knobs={"lr": 0.5})
