"""An edit carried onto a newer trunk: merged where it can be, refused where both changed the same lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.agent.merge import merge
from swarm.records import Source

BASE = b"a = 1\n\n\nb = 1\n\n\nc = 1\n"


def one(content: bytes) -> Source:
    return Source({"train.py": content})


def test_edits_of_different_lines_are_both_there() -> None:
    merged = merge(one(BASE), one(BASE.replace(b"a = 1", b"a = 2")), one(BASE.replace(b"c = 1", b"c = 3")))
    assert merged == one(b"a = 2\n\n\nb = 1\n\n\nc = 3\n")


def test_edits_of_the_same_line_conflict() -> None:
    assert merge(one(BASE), one(BASE.replace(b"a = 1", b"a = 2")), one(BASE.replace(b"a = 1", b"a = 3"))) is None


def test_the_same_edit_twice_is_no_conflict() -> None:
    both = one(BASE.replace(b"b = 1", b"b = 2"))
    assert merge(one(BASE), both, both) == both
    more = one(both.files["train.py"].replace(b"c = 1", b"c = 2"))
    assert merge(one(BASE), both, more) == merge(one(BASE), more, both) == more


def test_nothing_changed_on_one_side_is_the_other() -> None:
    other = one(b"entirely\nother\n")
    assert merge(one(BASE), one(BASE), other) == merge(one(BASE), other, one(BASE)) == other


def test_every_file_is_merged_by_itself() -> None:
    base = Source({"a.py": BASE, "b.py": BASE})
    ours = Source({"a.py": BASE.replace(b"a = 1", b"a = 2"), "b.py": BASE})
    theirs = Source({"a.py": BASE, "b.py": BASE.replace(b"b = 1", b"b = 2")})
    assert merge(base, ours, theirs) == Source({"a.py": ours.files["a.py"], "b.py": theirs.files["b.py"]})
    conflict = Source({"a.py": BASE.replace(b"a = 1", b"a = 3"), "b.py": BASE})
    assert merge(base, ours, conflict) is None
    added = Source({**base.files, "c.py": b"new\n"})
    assert merge(base, added, theirs) == Source({**theirs.files, "c.py": b"new\n"})


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [(b"\0\1", b"\0\2", b"\0\3"), (b"", b"a = 1\n", b"b = 2\n"), (b"x", b"y", b"z")],
)
def test_what_git_cannot_merge_is_a_conflict(base: bytes, ours: bytes, theirs: bytes) -> None:
    assert merge(one(base), one(ours), one(theirs)) is None


def test_the_merge_neither_needs_nor_touches_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    merged = merge(one(BASE), one(BASE.replace(b"a = 1", b"a = 2")), one(BASE.replace(b"c = 1", b"c = 3\r")))
    assert merged and merged.files["train.py"].endswith(b"c = 3\r\n")
    assert list(tmp_path.iterdir()) == []


def test_files_that_one_side_brought_or_took_away() -> None:
    base = Source({"train.py": BASE, "src/old.py": b"old\n"})
    ours = Source({**base.files, "src/mine.py": b"mine\n"})
    theirs = Source({"train.py": BASE, "src/other.py": b"other\n"})
    assert merge(base, ours, theirs) == Source({**theirs.files, "src/mine.py": b"mine\n"})
    changed = Source({**base.files, "src/old.py": b"new\n"})
    assert merge(base, changed, theirs) is None
    assert merge(base, Source({**base.files, "a.py": b"1\n"}), Source({**base.files, "a.py": b"2\n"})) is None


def test_the_variables_of_a_hook_that_launches_are_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    test_edits_of_different_lines_are_both_there()
