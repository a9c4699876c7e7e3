"""Patterns of editable and fixed files: files, folders, globs; the more precise one decides."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from swarm.project.patterns import Scope, folder_of, is_proper, open_places, rank, read_scope

MATCHES = (
    ("train.py", "train.py", True),
    ("train.py", "src/train.py", False),
    ("src", "src/deep/er.py", True),
    ("src", "srcs/a.py", False),
    (".", "any/thing.py", True),
    (".", "../sibling/a.py", False),
    ("../common", "../common/a.py", True),
    ("..", "../common/a.py", True),
    ("src/*.py", "src/a.py", True),
    ("src/*.py", "src/deep/a.py", False),
    ("src/**/*.py", "src/a.py", True),
    ("src/**/*.py", "src/very/deep/a.py", True),
    ("src/**", "src/very/deep/a.txt", True),
    ("**/*.py", "a.py", True),
    ("**/*.py", "../common/a.py", False),
    ("src/v?", "src/v1/a.py", True),
    ("src/v?", "src/v12/a.py", False),
    ("[ab].py", "a.py", True),
    ("[!ab].py", "a.py", False),
    ("[!ab].py", "c.py", True),
    ("[a-c]x.py", "bx.py", True),
    ("a[1].py", "a[1].py", True),  # a name that is in the repository is that name
    ("a[.py", "a[.py", True),
    ("[z-a].py", "b.py", False),
    ("-rf.py", "-rf.py", True),
    ("a b/*.py", "a b/ü.py", True),
)


@pytest.mark.parametrize(("pattern", "path", "matches"), MATCHES)
def test_what_a_pattern_names(pattern: str, path: str, matches: bool) -> None:
    assert (rank(path, (pattern,)) >= 0) is matches


@pytest.mark.parametrize(
    ("editable", "fixed", "path", "may"),
    [
        (("src",), ("src/eval.py",), "src/eval.py", False),
        (("src",), ("src/eval.py",), "src/new.py", True),
        (("src/eval.py",), ("src",), "src/eval.py", True),
        (("src/models",), ("src",), "src/models/a.py", True),
        (("src",), ("src/eval",), "src/eval/new.py", False),
        ((".",), ("eval",), "eval/new.py", False),
        (("**/*.py",), ("**/test_*.py",), "a/test_b.py", False),
        (("src",), (), "src/../../etc/passwd", False),
        (("src",), (), "src/.git/hooks/post-checkout", False),
        (("src",), (), "/src/a.py", False),
        (("src",), (), "src//a.py", False),
        (("src",), (), "src/" + "x" * 300, False),
        (("src",), (), "src/new\nline.py", False),
    ],
)
def test_the_more_precise_pattern_decides(
    editable: tuple[str, ...], fixed: tuple[str, ...], path: str, may: bool
) -> None:
    assert Scope(editable, fixed).may_edit(path) is may


def test_researchers_are_told_a_scope_as_lines_and_where_new_files_may_be() -> None:
    scope = read_scope({"editable": "train.py\nsrc\nlib/*.py\n.", "fixed": "src/eval.py\nprogram.md"})
    assert scope == Scope(("train.py", "src", "lib/*.py", "."), ("src/eval.py", "program.md"))
    assert open_places(scope, {"train.py"}) == ["src/**", "lib/*.py", "**"]
    assert read_scope({}) == Scope() and not Scope().may_edit("a.py")


@given(st.text(), st.text())
def test_no_text_breaks_a_pattern_or_leads_out(pattern: str, path: str) -> None:
    rank(path, (pattern,))
    folder_of(pattern)
    if is_proper(path):
        assert posixpath.normpath(path) == path and not path.startswith(("/", "../")) and "\0" not in path


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for file in FILES:
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).touch()
    return root


FILES = ("ab", "c/a", "c/b", "a!/ab")


@given(pattern=st.text("abc*?/[]!", min_size=1, max_size=8))
def test_a_glob_names_what_a_shells_does_and_all_below(tree: Path, pattern: str) -> None:
    assume(posixpath.normpath(pattern) == pattern and not pattern.startswith("/") and "**" not in pattern)
    found = {place.relative_to(tree).as_posix() for place in tree.glob(pattern)}
    wanted = {file for file in FILES if any(f"{file}/".startswith(f"{name}/") for name in found)}
    assert {file for file in FILES if rank(file, (pattern,)) >= 0} == wanted
