"""What a coding CLI prints while it works, for people: whatever it is, it is read, and nothing in it raises."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.researchers.cli.claude_code import _result
from swarm.researchers.cli.stream import readable
from swarm.researchers.llm.models.anthropic import usage_in
from swarm.researchers.llm.money import Usage
from swarm.researchers.llm.transcript import Transcript

HUGE = 10**400
WORDS = st.sampled_from(["type", "result", "total_cost_usd", "duration_ms", "num_turns", "message", "content", "text"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.just(HUGE) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_no_event_raises(event: object) -> None:
    for line in readable(json.dumps(event), "/a/folder"):
        assert isinstance(line, str)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a": 1, "a": 2}', "", "no JSON", f'{{"total_cost_usd": {HUGE}}}'])
def test_nor_does_what_is_no_event(line: str) -> None:
    assert all(isinstance(said, str) for said in readable(line, "/a/folder"))
    assert _result(f"before\n{line}\n") in ({}, {"total_cost_usd": float("inf")})


def test_a_result_is_told_by_what_can_be_believed_of_it() -> None:
    event = {"type": "result", "subtype": "success", "num_turns": 3, "total_cost_usd": 0.5, "duration_ms": 2000}
    assert list(readable(json.dumps(event), "")) == ["(success, 3 turns, 2 s, $0.5000)"]
    odd = event | {"total_cost_usd": HUGE, "duration_ms": HUGE}
    assert list(readable(json.dumps(odd), "")) == ["(success, 3 turns, ?, an unknown cost)"]


def test_what_is_no_count_is_no_usage() -> None:
    odd = {"input_tokens": 10**30, "output_tokens": -5, "cache_read_input_tokens": True}
    assert usage_in(odd | {"cache_creation_input_tokens": 7}) == Usage(cache_write_1h=7)


def test_half_a_character_is_kept_as_a_mark(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.think()
    transcript.brief("a \ud800 b")
    transcript.write("a \ud800 b")
    assert all("a ? b" in file.read_text() for file in tmp_path.iterdir())
