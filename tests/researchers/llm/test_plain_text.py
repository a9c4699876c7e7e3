"""Ideas and edits in plain text: what is well-formed is read as it was meant, and nothing else is read at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.researchers.llm.plain_text import PROTOCOL, Unreadable, read_calls

MARKS = ("<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE")
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=20)
    .map(str.rstrip)
    .filter(lambda line: line not in MARKS),
    max_size=6,
)  # fmt: skip
NOISE = st.lists(
    st.one_of(
        st.sampled_from(
            [*MARKS, "```", "````", "```python", "```idea", "```edit a.py", "```edit", "~~~idea", "```read"]
        ),
        st.sampled_from(["title: x", "why: y", "category:", "<think>", "</think>", "```give_up", "```search x"]),
        st.text(max_size=30),
    ),
    max_size=25,
)


@given(NOISE)
def test_whatever_a_model_writes_is_read_or_refused(lines: list[str]) -> None:
    try:
        calls = read_calls("\n".join(lines))
    except Unreadable as fault:
        assert str(fault)
        return
    assert calls and all(isinstance(call.arguments, dict) for call in calls)


@given(
    st.lists(st.tuples(LINES, LINES), min_size=1, max_size=3), WORDS, NOISE.filter(lambda n: "```" not in "".join(n))
)
def test_pieces_are_read_letter_by_letter(
    pieces: list[tuple[list[str], list[str]]], path: str, before: list[str]
) -> None:
    block = "\n".join("\n".join([MARKS[0], *old, MARKS[1], *new, MARKS[2]]) for old, new in pieces)
    talk = "\n".join(line for line in before if "~~~" not in line and "<think" not in line)
    (call,) = read_calls(f"{talk}\n```edit {path}\n{block}\n```\nThat is it.")
    assert call.arguments == {
        "edits": [{"path": path, "old": "\n".join(old), "new": "\n".join(new)} for old, new in pieces]
    }


@given(WORDS, WORDS, WORDS)
def test_an_idea_is_read_field_by_field(title: str, why: str, category: str) -> None:
    text = f"So:\n```Idea\nTitle: {title}\nwhy: {why}\nand {why}\ncategory : {category}\n```"
    if any(mark in text[7:-3] for mark in ("```", "~~~")):
        return
    (call,) = read_calls(text)
    assert (call.name, call.arguments) == (
        "submit_idea",
        {"title": title, "rationale": f"{why}\nand {why}", "category": category},
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is no block"),
        ("```python\nlr = 2\n```", "there is no block"),
        ("```idea\nmore depth\n```", "a line that begins with title:"),
        ("```idea\ntitle: x", "the block idea does not end"),
        ("```edit\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```", "must name its file"),
        ("```edit a.py\nlr = 2\n```", "holds pieces only"),
        ("```edit a.py\n```", "needs its three marks"),
        ("```edit a.py\n<<<<<<< SEARCH\na\n=======\nb\n```", "does not end"),
        ("```edit a.py\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n```", "needs its three marks"),
    ],
)
def test_what_is_malformed_is_refused_with_the_reason(text: str, fault: str) -> None:
    with pytest.raises(Unreadable, match=fault):
        read_calls(text)


def test_code_with_fences_in_it_can_be_edited() -> None:
    edit = '```edit a.py\n<<<<<<< SEARCH\n"""\n```\nold\n```\n"""\n=======\n"""\n```\n"""\n>>>>>>> REPLACE\n```\n'
    (call,) = read_calls(edit)
    assert call.arguments == {"edits": [{"path": "a.py", "old": '"""\n```\nold\n```\n"""', "new": '"""\n```\n"""'}]}


def test_examples_and_thoughts_are_no_answer() -> None:
    text = "<think>\n```idea\ntitle: no\n```\n</think>\n````text\n```idea\ntitle: no\n```\n````\n~~~read b.py\n~~~"
    (call,) = read_calls(text)
    assert (call.name, call.arguments) == ("read_file", {"path": "b.py"})


def test_what_the_protocol_shows_is_what_is_read() -> None:
    shown = [call.name for call in read_calls(PROTOCOL)]
    assert shown == ["submit_idea", "read_file", "search_findings", "give_up", "submit_edits"]
