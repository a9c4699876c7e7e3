"""Python that others wrote: nothing in it raises but where it is parsed, and that says so."""

from __future__ import annotations

import ast
import gc
import sys
import threading
import warnings
from collections.abc import Iterator

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


class Loop:
    """Garbage that only a collection frees, and that lets other threads run when it goes."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        sum(range(50))


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Threads take turns as often as they can, above all while trees are built."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(30)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


def test_threads_parse_side_by_side(many_switches: None) -> None:
    code = "def g():\n" + "".join(f"    if a{n}:\n        b = [c for c in d({n})]\n" for n in range(100))
    failed: list[Exception] = []

    def work() -> None:
        for _ in range(30):
            Loop()
            try:
                parse(code)
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
