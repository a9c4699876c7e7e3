"""Answers in pieces, of services that are tidy and of those that are not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from swarm.researchers.llm.models.chat import answer_of
from swarm.researchers.llm.models.chat_stream import Stream, usage_of
from swarm.researchers.llm.models.protocol import Call, Stop
from swarm.researchers.llm.money import NOTHING, Usage

NAMES = st.sampled_from(
    [
        "choices",
        "delta",
        "content",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "index",
        "id",
        "usage",
        "prompt_tokens",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
CHOICES = st.lists(st.fixed_dictionaries({"delta": st.dictionaries(NAMES, JSON, max_size=4)}), max_size=2)


def together(*chunks: Any) -> Stream:
    stream = Stream()
    for chunk in chunks:
        stream.take(chunk)
    return stream


def call(index: Any, arguments: str, name: str | None = None, identity: str | None = None) -> dict[str, Any]:
    piece = {"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}
    return {"choices": [{"delta": {"tool_calls": [piece]}}]}


@given(st.lists(JSON | st.fixed_dictionaries({"choices": CHOICES}), max_size=5))
def test_nothing_that_comes_raises(chunks: list[Any]) -> None:
    stream = together(*chunks)
    for plain in (True, False):
        answer = answer_of(stream.message, stream.usage or NOTHING, plain)
        assert isinstance(answer.text, str) and all(found.name for found in answer.calls)


def test_calls_with_one_index_and_two_ids_are_two() -> None:
    pieces = [call(0, '{"a"', "x", "1"), call(0, ": 1}"), call(0, "{}", "y", "2")]
    answer = answer_of(together(*pieces).message, NOTHING, plain=False)
    assert answer.calls == (Call("1", "x", {"a": 1}), Call("2", "y", {}))


def test_calls_without_an_id_get_one_and_arguments_stay_as_written() -> None:
    answer = answer_of(together(call(0, '{"a": ', "x"), call(1, "", "y")).message, NOTHING, plain=False)
    assert answer.calls == (Call("call-1", "x", '{"a": '), Call("call-2", "y", {}))
    assert answer.stop is Stop.END


def test_tokens_are_counted_once() -> None:
    details = {"cached_tokens": 60, "cache_write_tokens": 30}
    counts = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}
    assert usage_of(counts) == Usage(input=10, output=5, cache_read=60, cache_write_5m=30)
    assert usage_of({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}) == Usage(cache_read=5)
    assert usage_of(None) is usage_of({"prompt_tokens": True, "completion_tokens": -1}) is None
