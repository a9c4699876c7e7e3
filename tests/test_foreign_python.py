"""Python that others wrote: nothing in it raises but where it is parsed, and that says so."""

from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.foreign_python import UNREADABLE, is_deep, parse, tree_of, unparsed, written
from tests.deep_python import BROKEN, DEEP, LONG


@pytest.mark.parametrize("text", [*DEEP.values(), *LONG.values()], ids=[*DEEP, *LONG])
def test_every_node_of_what_parses_can_be_written_out(text: str) -> None:
    nodes = list(ast.walk(parse(text)))
    for node in [*nodes[:40], *nodes[-40:]]:
        assert unparsed(node) or not isinstance(node, ast.expr | ast.stmt)
    assert all(written(node.value) for node in nodes if isinstance(node, ast.Constant))


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_what_is_deep_is_said_to_be(text: str) -> None:
    assert is_deep(parse(text)) and not is_deep(parse("x = [1, (2 + 3) * f(a.b.c)]\n" * 500))


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_does_not_parse_is_an_empty_tree_or_one_of_the_named_errors(text: str) -> None:
    assert tree_of(text).body == [] == tree_of(text.encode()).body
    with pytest.raises(UNREADABLE):
        parse(text)


@given(st.text() | st.binary())
def test_any_text_is_a_tree(text: str | bytes) -> None:
    for node in ast.walk(tree_of(text)):
        unparsed(node)


def test_code_as_it_is_written_and_without_a_word_about_it() -> None:
    with warnings.catch_warnings(action="error"):
        assert unparsed(parse("x=f( 1,'\\d')").body[0]) == "x = f(1, '\\\\d')"
    assert (written("a"), written(255), written(16**5000)) == ("'a'", "255", "0x1" + "0" * 5000)
