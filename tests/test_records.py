"""What records promise: a source is its content, and all are values."""

from __future__ import annotations

import pytest

from swarm.codec import RECORDS
from swarm.records import Briefing, Edit, Failure, Source


def test_a_source_is_its_content() -> None:
    source = Source({"b": b"2", "a": b"1"})
    assert source.sha == Source({"a": b"1", "b": b"2"}).sha and len(source.sha) == 64
    for other in ({"a": b"1"}, {"a": b"12", "b": b""}, {"a": b"2", "b": b"1"}, {"a": b"1", "b": b"2", "c": b""}):
        assert Source(other).sha != source.sha
    assert source.edited(Edit({"a": b"9"})) == Source({"a": b"9", "b": b"2"})
    assert source.files == {"b": b"2", "a": b"1"}


def test_only_some_failures_blame_the_idea() -> None:
    innocent = {failure for failure in Failure if not failure.blames_the_idea}
    assert innocent == {Failure.STALL, Failure.INFRASTRUCTURE, Failure.CONTENTION, Failure.INTERRUPTED}


def test_records_are_values() -> None:
    for cls in RECORDS.values():
        assert cls.__struct_config__.frozen, cls
    briefing = Briefing("t", "gpu0", Source({}), 0, "m", "lower", 1.0, None, None, None, "")
    with pytest.raises(AttributeError):
        briefing.tag = "other"  # type: ignore[misc]
