"""Trees are walked as far as their caps, whatever they are made of."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.machine.folder_walk import DEEPEST, Unwalked, usage, walk
from swarm.execution.machine.removal import remove
from tests.execution.trees import DEPTH, TREES, WIDTH


def test_a_walk_gives_what_is_there_and_a_folder_before_what_is_in_it(tmp_path):
    for path in ("b/two", "b/c/three", "a"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "link").symlink_to("b")
    found = {entry.path: entry for entry in walk(tmp_path)}
    assert set(found) == {"a", "b", "link", "b/two", "b/c", "b/c/three"}
    assert [entry.path for entry in walk(tmp_path, deepest=1)] and "b/two" not in {
        entry.path for entry in walk(tmp_path, deepest=1)
    }
    assert found["b/c/three"].depth == 3 and found["b"].is_folder and not found["link"].is_folder
    assert set(found) - {e.path for e in walk(tmp_path, enters=lambda e: e.name != "c")} == {"b/c/three"}
    assert list(walk(tmp_path / "none")) == [] and list(walk(tmp_path / "link")) == []


@pytest.mark.parametrize("tree", TREES)
def test_every_tree_is_measured(tmp_path, tree):
    folder = tmp_path / "run"
    folder.mkdir()
    TREES[tree](folder)
    before = _descriptors()
    found = usage([str(folder)])
    assert _descriptors() == before, "descriptors are left open"
    assert found.depth == (DEEPEST + 1 if tree == "deep" else found.depth)
    assert found.entries >= {"deep": DEEPEST, "wide": WIDTH, "folders": WIDTH, "odd": 6, "closed": 0}[tree]
    assert usage([str(folder)], most=100).entries <= 101
    remove(folder)


def test_a_walk_needs_few_descriptors(tmp_path):
    TREES["deep"](tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_descriptors() + DEEPEST + 20, hard))
    try:
        left = Unwalked()
        assert len(list(walk(tmp_path, unwalked=left))) == DEEPEST and left.deeper and DEEPEST < DEPTH
        remove(tmp_path / ("d" * 50))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_file_counts_once_however_many_names_it_has_and_folders_count(tmp_path):
    (tmp_path / "one").write_bytes(bytes(2**20))
    once = usage([str(tmp_path)])
    os.link(tmp_path / "one", tmp_path / "two")
    twice = usage([str(tmp_path)])
    assert once.mb >= 1 and twice.mb == once.mb and twice.entries == once.entries + 1


def _descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))


@given(st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=12))
def test_any_names_are_walked_and_removed(tmp_path_factory, paths):
    folder = tmp_path_factory.mktemp("names") / "run"
    folder.mkdir()
    for path in paths:
        folder.joinpath(*map(os.fsdecode, path)).mkdir(parents=True, exist_ok=True)
    there = {str(Path(at, name).relative_to(folder)) for at, names, _ in os.walk(folder) for name in names}
    assert {entry.path for entry in walk(folder)} == there
    remove(folder)
    assert list(folder.parent.iterdir()) == []
