"""The same idea is one, the same code is one, and two different edits never are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.board.novelty import fingerprint, intent, size
from swarm.records import Idea, Source

TRAINER = (Path(__file__).parents[2] / "trainer" / "train.py").read_text()


def code(text: str | bytes, path: str = "train.py") -> Source:
    return Source({path: text.encode() if isinstance(text, str) else text})


def same(first: str | bytes, second: str | bytes, path: str = "train.py") -> bool:
    return fingerprint(code(first, path)) == fingerprint(code(second, path))


# -- ideas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wordings",
    [
        ("Embedding LR 0.04", "set the embedding LR to 4e-2", "embedding lr .040", "use Embedding LR 0.04."),
        ("batch 2**18", "Batch -> 262144", "try a batch of 2^18", "batch: 262144.0"),
        ("GELU in place of SiLU", "gelu in  place of the silu"),
        ("窗口更宽", "窗口更宽"),
    ],
)
def test_wording_and_spelling_of_numbers_do_not_count(wordings: tuple[str, ...]) -> None:
    assert len({intent(Idea(title)) for title in wordings}) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("replace relu with gelu", "replace gelu with relu"),
        ("depth 8 -> 9", "depth 9 -> 8"),
        ("warmup 0.1", "warmup 0.01"),
        ("lr -0.1", "lr 0.1"),
        ("窗口更宽", "窗口更窄"),
        ("!!!", "???"),
        ("batch 1048576", "batch 1048580"),
    ],
)
def test_different_ideas_stay_different(first: str, second: str) -> None:
    assert intent(Idea(first)) != intent(Idea(second))


def test_knobs_say_what_an_idea_means_whatever_its_words() -> None:
    first = Idea("go deeper", knobs={"DEPTH": 9, "LR": 0.1})
    assert intent(first) == intent(Idea("9 layers", "why", "other", {"lr": "1e-1", "depth": 9.0}))
    assert intent(first) != intent(Idea("go deeper", knobs={"DEPTH": 9}))
    assert intent(first) != intent(Idea("go deeper", knobs={"DEPTH": 9, "LR": 0.2}))
    assert intent(Idea("x", knobs={"N": 2**60})) != intent(Idea("x", knobs={"N": 2**59}))
    assert intent(Idea("x", knobs={"PATTERN": "SSSL"})) != intent(Idea("x", knobs={"PATTERN": "SSLL"}))


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.floats() | st.integers() | st.text(), max_size=3))
def test_every_idea_has_an_intent(title: str, knobs: dict[str, float | int | str]) -> None:
    assert intent(Idea(title, knobs=knobs)) == intent(Idea(title, knobs=knobs))
    assert intent(Idea(title, knobs=knobs)) or not (title or knobs)


# -- code ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x = 2**18", "x = 262144  # tokens"),
        ("x = 2 ** 19 // 2", "x = (2**19) // 2"),
        ("x = -(1)", "x = -1"),
        ("x = 3 * 64", "x = 192"),
        ("x = 1_000", "x = 1000"),
        ("x = 'a'", 'x = u"a"'),
        ('"""Doc."""\nx = 1', "x = 1"),
        ("def f():\n    '''Doc.'''\n    return 1", "def f():\n\n    return 1  # one"),
        ("x = 1\n", "x = 1\r\n"),
        ("x = f(a,\n      b)", "x = f(a, b)"),
        ("x = 0.5\n7\n", "x = 0.5"),
    ],
)
def test_spelling_and_comments_do_not_count(first: str, second: str) -> None:
    assert same(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0.0", "x = -0.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = 4 / 2", "x = 2"),
        ("x = 2**-1", "x = 2"),
        ("x = a + b", "x = b + a"),
        ("x = 'one'", "x = 'two'"),
        ("if a:\n    b = 1\nc = 1", "if a:\n    b = 1\n    c = 1"),
        ("x = 1 / 0", "x = 0 / 0"),
        ("x = 10**400", "x = 10**401"),
        ("x = f'{a}'", "x = f'{a!r}'"),
    ],
)
def test_meaning_counts(first: str, second: str) -> None:
    assert not same(first, second)


def test_what_is_not_python_counts_as_it_stands() -> None:
    assert not same("x = 1", "x = 1 ", path="knobs.json")
    assert not same("x = = 1", "x = =  1")
    assert same(b"\xff\xfe", b"\xff\xfe")
    assert not same(b"\xff\xfe", b"\xff\xfd")
    deep = "x = " + "(" * 90 + "1" + ")" * 90
    assert same(deep, deep)
    assert not same("x = " + "-" * 50_000 + "1", "x = " + "-" * 50_001 + "1")
    huge = "x = " + " * ".join(["1024**64"] * 60)
    assert not same(huge, huge + " * 2")
    assert not same("x = 0x" + "f" * 5000, "x = 0x" + "e" * 5000)


def test_the_name_of_a_file_counts_and_borders_between_files_do() -> None:
    assert fingerprint(code("x = 1", "a.py")) != fingerprint(code("x = 1", "b.py"))
    first, second = Source({"a": b"b\0c", "c": b""}), Source({"a": b"b", "c": b""})
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(Source({"b": b"2", "a": b"1"})) == fingerprint(Source({"a": b"1", "b": b"2"}))


def test_size_counts_code_and_not_its_description() -> None:
    plain = size(code("x = 1\n"))
    assert size(code('"""Doc."""\n# why\nx = 1\n')) == plain
    assert size(code("x = 1 + 1\n")) == plain  # another spelling of a number
    assert size(code("x = 1\ny = 2\n")) > plain
    assert size(code("x = = 1")) == len("x = = 1")


# -- a real train.py -----------------------------------------------------------------------------------------------


def literals() -> list[ast.Constant]:
    """The numbers in train.py that are no operands of plain arithmetic: an edit of one is an edit of its own."""
    tree = ast.parse(TRAINER)
    folded = {
        id(side)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp | ast.UnaryOp)
        for side in ((node.left, node.right) if isinstance(node, ast.BinOp) else (node.operand,))
    }
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
        and id(node) not in folded
    ]


LITERALS = literals()
EDITS = st.tuples(st.integers(0, len(LITERALS) - 1), st.integers(0, 10**6) | st.floats(0, 1e6))


def edited(edit: tuple[int, float]) -> str:
    node, lines = LITERALS[edit[0]], TRAINER.encode().splitlines(keepends=True)
    line = lines[node.lineno - 1]
    lines[node.lineno - 1] = line[: node.col_offset] + repr(edit[1]).encode() + line[node.end_col_offset :]
    return b"".join(lines).decode()


@settings(max_examples=20, deadline=None)
@given(EDITS, EDITS)
def test_two_edits_of_one_number_each_are_never_taken_for_the_same(
    first: tuple[int, float], second: tuple[int, float]
) -> None:
    assert len(LITERALS) > 50
    alike = first[0] == second[0] and repr(first[1]) == repr(second[1])
    assert same(edited(first), edited(second)) == alike
    node = LITERALS[first[0]]
    assert same(edited(first), TRAINER) == (repr(first[1]) == repr(node.value))


def test_a_formatted_train_py_is_the_same() -> None:
    assert same(TRAINER, ast.unparse(ast.parse(TRAINER)))
