"""The same code is one, the same change is one on any parent, and two different edits never are."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings

from swarm.novelty import code as module
from swarm.novelty.code import code_of, constants, fingerprint, size
from swarm.novelty.normal_form import meaning, tree_of
from swarm.records import Source
from tests.deep_python import BROKEN, DEEP, LONG
from tests.novelty.edits import EDITS, LITERALS, TRAINER, code, edited, same

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
        ("x = 1 << 18", "x = 2**18"),
        ("x = 7 // 2", "x = 3"),
        ("x = +1", "x = 1"),
        ("def f():\n    pass\n    return 1", "def f():\n    return 1"),
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


# -- changes -------------------------------------------------------------------------------------------------------


def changes(before: str, after: str) -> set[str]:
    return set(code_of(code(before), code(after)).changes)


@settings(max_examples=15, deadline=None)
@given(EDITS, EDITS)
def test_a_change_is_known_again_on_another_parent_and_is_no_other(first: tuple[int, float], second: tuple[int, float]):
    """Two edits of one number each: in whatever order they are made, each has one change, and not the other's."""
    node, other = LITERALS[first[0]], LITERALS[second[0]]
    one, two = edited(first), edited(second)
    if repr(first[1]) != repr(node.value) and repr(second[1]) != repr(other.value):
        assert bool(changes(TRAINER, one) & changes(TRAINER, two)) == (one == two)
    if abs(node.lineno - other.lineno) > 8 and not same(one, TRAINER) and not same(two, TRAINER):
        lines = one.splitlines(keepends=True)
        lines[other.lineno - 1] = two.splitlines(keepends=True)[other.lineno - 1]
        both = "".join(lines)
        assert changes(one, both) & changes(TRAINER, two) and changes(two, both) & changes(TRAINER, one)
        assert not changes(one, both) & changes(TRAINER, one)


MOVED = "matrix_lr=0.02", "matrix_lr=0.03"


def test_a_knob_that_moved_since_does_not_hide_a_change() -> None:
    """From 0.02 or from 0.03: 0.05 is 0.05. Beside a neighbour on the same line, too."""
    wanted = TRAINER.replace(MOVED[0], "matrix_lr=5e-2")
    moved = TRAINER.replace(*MOVED).replace("head_lr=0.004, matrix_lr=0.03", "head_lr=0.006, matrix_lr=0.03")
    assert changes(TRAINER, wanted) == changes(moved, moved.replace(MOVED[1], "matrix_lr=.05"))
    assert not changes(TRAINER, wanted) & changes(TRAINER, TRAINER.replace(MOVED[0], "matrix_lr=0.06"))


def test_the_same_words_in_another_place_are_another_change() -> None:
    before = "def f(x):\n    x = g(x)\n    x = h(x)\n    x = g(x)\n    return x\n\n\ndef k(x):\n    x = g(x)\n"
    first = before.replace("g(x)", "g(2 * x)", 1)
    second = before.replace("h(x)\n    x = g(x)", "h(x)\n    x = g(2 * x)")
    third = before.replace("def k(x):\n    x = g(x)", "def k(x):\n    x = g(2 * x)")
    added = before.replace("x = h(x)\n", "x = h(x)\n    x = n(x)\n")
    earlier = before.replace("    x = h(x)\n", "    x = n(x)\n    x = h(x)\n")
    gone = before.replace("    x = h(x)\n", "")
    known = [changes(before, after) for after in (first, second, third, added, earlier, gone)]
    assert all(not one & other for one, other in itertools.combinations(known, 2))


def test_what_is_added_is_known_beside_what_was_added_before_it_or_after_it() -> None:
    before = "def f(x):\n    x = g(x)\n    return x\n"
    wanted = changes(before, before.replace("    return", "    x = n(x)\n    return"))
    for moved in (before.replace("    return", "    x = m(x)\n    return"), before.replace("x = g(x)", "x = g(2 * x)")):
        assert wanted & changes(moved, moved.replace("    return", "    x = n(x)\n    return"))
        assert not wanted & changes(moved, moved.replace("    return", "    x = k(x)\n    return"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["x = f()"] * 5_000, [*["x = f()"] * 2_500, "y = 1", *["x = f()"] * 2_500]),  # 25,000,000 equal pairs
        ([f"f({n})" for n in range(5_000)], [f"{'fg'[n % 2]}({n})" for n in range(5_000)]),  # 2,500 places
    ],
)
def test_long_files_are_compared_in_seconds(before: list[str], after: list[str]) -> None:
    """Line by line, files ten times as long would take hours."""
    one, two = changes("\n".join(before), "\n".join(after)), changes("\n".join(before), "\n".join([*after, "h()"]))
    assert one and not one & two


def test_a_change_is_shown_with_its_place_and_bounded() -> None:
    code_ = code_of(code(TRAINER), code(TRAINER.replace(*MOVED)))
    assert code_.diff == "- PRESETS['cpu'].matrix_lr = 0.02\n+ PRESETS['cpu'].matrix_lr = 0.03"
    assert code_.added == 0
    shown = code_of(code("x = 1"), code("\n".join(f"def f{n}():\n    return {n}" for n in range(1000))))
    assert len(shown.diff) <= 4000 and shown.diff.endswith("...")
    assert code_of(code("a: 1", "k.yaml"), code("a: 2", "k.yaml")).diff == "- a: 1\n+ a: 2"
    assert code_of(code("x = 1"), code("x = 1  # one")).diff == ""
    new = Source({"train.py": b"x = 1", "new.py": b"y = 2"})
    assert code_of(code("x = 1"), new).diff == "+ y = 2"


def test_the_constants_of_the_trainer_are_those_of_the_device() -> None:
    cpu, cuda = (constants(code(TRAINER), device) for device in ("cpu", "cuda"))
    assert (cpu["matrix_lr"], cuda["matrix_lr"], cpu["activation"]) == (0.02, 0.04, "relu2")
    assert constants(code("LR = 4e-2\nBETAS = (0.8, -1)\nX = f(1)\nN = 2**4\nT = True"), "cpu") == {
        "lr": 0.04,
        "betas[0]": 0.8,
        "betas[1]": -1,
        "n": 16,
    }
    assert constants(code("not python ("), "cpu") == {}


# -- code that is nested deeper than what compares it can go ---------------------------------------------------------

ODD = {**DEEP, **{f"{name}, long": text for name, text in LONG.items()}, **BROKEN}


def from_below(calls: int, ask: Callable[[], object]) -> object:
    """The answer of somebody who is that many calls further down."""
    return ask() if calls == 0 else from_below(calls - 1, ask)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_any_code_is_compared(odd: str) -> None:
    parent, child = code(f"{odd}\ny = 1\n"), code(f"{odd}\ny = 2\n")
    assert fingerprint(parent) != fingerprint(child)
    made = code_of(parent, child)
    assert made.added == 0 and "y = 2" in made.diff
    constants(child, "cpu")


@pytest.mark.parametrize("terms", [20, 150, 195, 210, 300, 320, 400])
def test_what_code_means_does_not_depend_on_who_asks(terms: int) -> None:
    source = code("x = y" + " + y" * terms + "\n")

    def ask() -> object:
        for remembers in (meaning, tree_of, module._size, module._lines):
            remembers.cache_clear()
        return fingerprint(source), size(source), code_of(code("x = 1\n"), source)

    assert ask() == from_below(150, ask)


def test_deep_code_is_as_large_as_its_nodes() -> None:
    """In bytes it would be a few times larger, and whoever takes it out would be paid for that."""
    flat = "x = [" + "y, " * 600 + "]\n"
    assert abs(size(code(DEEP["a sum"])) - size(code(flat))) < 700
