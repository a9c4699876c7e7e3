"""Whatever a run left is removed, or set aside, and nothing else is."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from swarm.execution.machine import removal
from swarm.execution.machine.removal import ASIDE, remove, remove_for_good, remove_set_aside
from tests.execution.trees import TREES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.mark.parametrize("tree", TREES)
def test_every_tree_is_removed(folder, tree):
    TREES[tree](folder)
    remove(folder)
    assert list(folder.parent.iterdir()) == []


def test_nothing_is_removed_through_a_link(folder, tmp_path_factory):
    precious = tmp_path_factory.mktemp("precious") / "file"
    precious.write_text("kept")
    (folder / "a").mkdir()
    (folder / "a" / "link").symlink_to(precious.parent)
    remove(folder)
    folder.symlink_to(precious.parent)
    remove(folder)
    assert not folder.is_symlink() and precious.read_text() == "kept"


def test_what_cannot_be_changed_is_removed_by_who_could_make_it_so(folder):
    (folder / "sub" / "deep").mkdir(parents=True)
    for path in ("file", "sub/deep/file"):
        (folder / path).write_text("x")
    marked = [["chattr", "+i", "sub/deep/file", "sub/deep", "sub"], ["chattr", "+a", "file"], ["chattr", "+i", "."]]
    for command in marked:
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
            pytest.skip("nobody may set attributes here")
    remove(folder)
    assert list(folder.parent.iterdir()) == []


def test_what_is_mounted_is_detached_and_not_removed(folder, tmp_path_factory):
    precious = tmp_path_factory.mktemp("precious") / "file"
    precious.write_text("kept")
    (folder / "a b").mkdir()
    mounted = subprocess.run(["mount", "--bind", precious.parent, folder / "a b"], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("nobody may mount here")
    assert (folder / "a b" / "file").exists()
    remove(folder)
    assert precious.read_text() == "kept" and list(folder.parent.iterdir()) == []


def test_what_takes_too_long_is_set_aside_and_removed_later(folder):
    TREES["wide"](folder)
    remove(folder, patience=-1.0)
    [aside] = folder.parent.iterdir()
    assert aside.name.startswith(f"{ASIDE}run-")
    folder.mkdir()  # its place is free
    (folder / "file").touch()
    remove_set_aside(folder.parent)
    assert list(folder.parent.iterdir()) == [folder]


def test_what_cannot_be_removed_at_all_is_set_aside(folder, monkeypatch):
    """As a folder of another user's, on a network file system, or one that somebody still writes to."""

    def refuses(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    (folder / "file").touch()
    monkeypatch.setattr(removal.os, "unlink", refuses)
    remove(folder)
    [aside] = folder.parent.iterdir()
    assert aside.name.startswith(f"{ASIDE}run-") and (aside / "file").exists()
    assert remove_for_good(aside) == "Operation not permitted"


def test_a_tree_that_grows_while_it_is_removed_frees_its_place(folder):
    """Also then nothing is raised, whoever wins."""
    over = threading.Event()

    def grow() -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                (folder / f"d{number % 7}" / "e" / f"{number}").mkdir(parents=True)
            except OSError:
                continue

    threads = [threading.Thread(target=grow) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        remove(folder)
    over.set()
    for thread in threads:
        thread.join()
    remove(folder)
    assert not folder.exists()
    remove_set_aside(folder.parent)
    assert list(folder.parent.iterdir()) == []


def test_nothing_is_there(tmp_path):
    remove(tmp_path / "none")
    remove(tmp_path / "none" / "at" / "all")
    (tmp_path / "file").touch()
    remove(tmp_path / "file")
    remove(tmp_path / "file" / "below")
    assert list(tmp_path.iterdir()) == []
