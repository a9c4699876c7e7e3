"""A folder that is laid out again: what a run left alone stays, and whatever it did to anything else is gone.

python -m pytest tests/execution/test_laid_tree.py
"""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.execution.workspace import Workspace
from swarm.project.project import Project
from swarm.records import Source

PROJECT = Project(command=("x",), editable=("train.py", "model"), fixed=("prepare.py",))
FILES = {
    "train.py": "old", "prepare.py": "fixed", "data/a/one.txt": "1", "data/a/two.txt": "2", "data/b/three.txt": "3",
    "model/net.py": "net", "notes.txt": "notes",
}  # fmt: skip
SOURCE = Source({"train.py": b"new", "model/net.py": b"net"})


@pytest.fixture
def workspace(tmp_path: Path, base: Callable[..., bytes]) -> Workspace:
    workspace = Workspace(tmp_path / "run", base(FILES), PROJECT)
    workspace.fresh(SOURCE)
    return workspace


def content(folder: Path) -> dict[str, str]:
    """Everything below the folder: files with what is in them, links with where they lead, folders as such."""
    found = {}
    for path in sorted(folder.rglob("*")):
        what = f"-> {path.readlink()}" if path.is_symlink() else "folder" if path.is_dir() else path.read_text()
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {what}"
    return found


def places(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_ino for path in folder.rglob("*")}


def test_what_nobody_touched_is_not_written_again(workspace: Workspace) -> None:
    before, held = places(workspace.folder), content(workspace.folder)
    workspace.fresh(Source({"train.py": b"newer", "model/net.py": b"net"}))
    after = places(workspace.folder)
    same = {path for path in after if after[path] == before[path]}
    assert {"data", "data/a/one.txt", "data/b/three.txt", "notes.txt", "prepare.py"} <= same
    assert (workspace.folder / "train.py").read_text() == "newer"
    workspace.fresh(SOURCE)
    assert content(workspace.folder) == held


def _written_through_memory(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        assert memory[0] == ord("1")  # it is mapped before it is written to
        memory[0] = ord("7")


def _with_its_old_time(path: Path) -> None:
    status = path.stat()
    path.write_text("7")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replaced_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("two.txt")


def _folder_replaced_by_a_link(path: Path) -> None:
    shutil.move(path.parent, path.parent.parent.parent / "moved")
    path.parent.symlink_to("../moved")


HARMS: dict[str, Callable[[Path], object]] = {
    "written": lambda path: path.write_text("longer"),
    "written, of the same length": lambda path: path.write_text("7"),
    "written through memory": _written_through_memory,
    "written, with its old time": _with_its_old_time,
    "made executable": lambda path: path.chmod(0o755),
    "given a time": lambda path: os.utime(path, ns=(5, 5)),
    "given another name": lambda path: os.link(path, path.parent.parent.parent / "hard"),
    "gone": lambda path: path.unlink(),
    "replaced by a link": _replaced_by_a_link,
    "replaced by a folder": lambda path: (path.unlink(), path.mkdir(), (path / "more").touch()),
    "its folder replaced by a link": _folder_replaced_by_a_link,
    "its folder gone": lambda path: shutil.rmtree(path.parent),
    "its folder closed": lambda path: path.parent.chmod(0),
    "its folder given a time": lambda path: os.utime(path.parent, ns=(5, 5)),
    "more beside it": lambda path: (path.parent / "more.txt").write_text("m"),
    "more at the top": lambda path: (path.parent.parent.parent / "more.txt").write_text("m"),
    "a new folder beside it": lambda path: (path.parent / "deep" / "deeper").mkdir(parents=True),
    "all of it gone": lambda path: shutil.rmtree(path.parent.parent.parent),
}


@pytest.mark.parametrize("harm", HARMS)
def test_whatever_a_run_did_is_gone(workspace: Workspace, harm: str) -> None:
    held, mtimes = content(workspace.folder), {"data/a/one.txt": (workspace.folder / "data/a/one.txt").stat().st_mtime}
    HARMS[harm](workspace.folder / "data/a/one.txt")
    workspace.fresh(SOURCE)
    assert content(workspace.folder) == held
    assert (workspace.folder / "data/a/one.txt").stat().st_mtime >= mtimes["data/a/one.txt"]
    assert (workspace.folder / "data/a/one.txt").stat().st_nlink == 1
    assert [path.name for path in workspace.folder.parent.iterdir()] == [workspace.folder.name], "nothing is left over"


def test_an_attribute_that_a_run_set_is_gone(workspace: Workspace) -> None:
    target = workspace.folder / "data/a/one.txt"
    try:
        os.setxattr(target, "user.told", b"row 17")
        os.setxattr(target.parent, "user.told", b"row 18")
    except (OSError, AttributeError):
        pytest.skip("this file system keeps no attributes")
    workspace.fresh(SOURCE)
    assert not os.listxattr(target) and not os.listxattr(target.parent)


def test_nobody_learns_what_was_read_before(workspace: Workspace) -> None:
    for path in ("data/a/one.txt", "notes.txt"):
        status = (workspace.folder / path).stat()
        os.utime(workspace.folder / path, ns=(status.st_mtime_ns + 10**9, status.st_mtime_ns))
    workspace.fresh(SOURCE)
    files = [path.lstat() for path in workspace.folder.rglob("*") if path.is_file()]
    assert len(files) == len(FILES) and all(status.st_atime_ns == status.st_mtime_ns for status in files)


def test_files_of_the_last_source_do_not_stay(workspace: Workspace) -> None:
    workspace.fresh(Source({"train.py": b"x", "model/net.py": b"deeper", "model/more/new.py": b"n", "notes.txt": b"!"}))
    workspace.fresh(Source({"train.py": b"x"}))
    held = content(workspace.folder)
    assert held["model/net.py"].endswith("net") and held["notes.txt"].endswith("notes")
    assert "model/more" not in held and (workspace.folder / "train.py").read_text() == "x"


def test_a_folder_that_was_left_half_way_is_made_anew(workspace: Workspace) -> None:
    held = content(workspace.folder)
    (workspace.folder.with_name("run.before") / "data").mkdir(parents=True)
    (workspace.folder / "data/a/one.txt").unlink()
    workspace.fresh(SOURCE)
    assert content(workspace.folder) == held and not workspace.folder.with_name("run.before").exists()
