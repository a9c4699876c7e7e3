"""Plain folders: made anew, read back, and never a way out of them."""

from __future__ import annotations

import errno
import io
import tarfile
from pathlib import Path

import pytest

from swarm.errors import Unmakeable
from swarm.execution.workspace import ForbiddenEdit, Workspace, is_text, parses
from swarm.project.project import Project
from swarm.records import Edit, Source

PROJECT = Project(command=("x",), editable=("train.py", "model/net.py"), fixed=("prepare.py", "kernels"))
FILES = {
    "train.py": "old", "model/net.py": "net", "prepare.py": "fixed", "kernels/a.py": "a", "kernels/b.py": "b",
    "notes.txt": "tracked",
}  # fmt: skip
SOURCE = Source({"train.py": b"new", "model/net.py": b"net"})


@pytest.fixture
def workspace(tmp_path, base) -> Workspace:
    workspace = Workspace(tmp_path / "run", base(FILES), PROJECT)
    workspace.fresh(SOURCE)
    return workspace


def test_it_holds_the_base_tree_with_the_source(workspace):
    assert (workspace.folder / "train.py").read_text() == "new"
    assert (workspace.folder / "kernels/a.py").read_text() == "a"
    assert workspace.read(PROJECT.editable) == SOURCE


def test_an_edit_is_what_differs_among_the_editable(workspace):
    (workspace.folder / "model/net.py").write_text("deeper")
    (workspace.folder / "scratch.txt").write_text("mine")
    assert workspace.edit_from(SOURCE) == Edit({"model/net.py": b"deeper"})


def test_no_change_is_an_empty_edit(workspace):
    assert workspace.edit_from(SOURCE) == Edit({})


@pytest.mark.parametrize("path", ["prepare.py", "kernels/b.py", "notes.txt"])
@pytest.mark.parametrize("harm", ["change", "delete", "link"])
def test_touching_any_other_file_is_refused_by_name(workspace, path, harm):
    target = workspace.folder / path
    target.unlink()
    if harm == "change":
        target.write_text("better")
    if harm == "link":
        target.symlink_to(workspace.folder / "train.py")
    with pytest.raises(ForbiddenEdit, match=f"changed {path}, but only train.py, model/net.py may be edited"):
        workspace.edit_from(SOURCE)


@pytest.mark.parametrize("link", [False, True])
def test_an_editable_file_must_stay_a_file(workspace, link):
    (workspace.folder / "train.py").unlink()
    if link:
        (workspace.folder / "train.py").symlink_to("notes.txt")
    with pytest.raises(ForbiddenEdit, match=r"train\.py is gone"):
        workspace.edit_from(SOURCE)


@pytest.mark.parametrize("path", ["../out.py", "/tmp/out.py", "a/../../out.py"])
def test_a_source_cannot_write_outside(workspace, path):
    with pytest.raises(ForbiddenEdit, match="outside the workspace"):
        workspace.fresh(Source({path: b"x"}))


def test_a_base_tree_cannot_write_outside(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../evil.py"))
    with pytest.raises(ForbiddenEdit):
        Workspace(tmp_path / "in" / "run", buffer.getvalue(), PROJECT).fresh(Source({}))
    assert not (tmp_path / "in" / "evil.py").exists()


def test_links_of_the_base_tree_are_kept_and_never_written_through(tmp_path, base):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "train.py").write_text("precious")
    buffer = io.BytesIO(base(FILES))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for name, to in (("alias.py", "../outside/train.py"), ("data", "../outside"), ("run.sh", "notes.txt")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, to
            tar.addfile(link)
    workspace = Workspace(tmp_path / "run", buffer.getvalue(), PROJECT)
    workspace.fresh(Source({"alias.py": b"new"}))
    assert (workspace.folder / "run.sh").readlink().name == "notes.txt"
    with pytest.raises(ForbiddenEdit):
        workspace.fresh(Source({"data/train.py": b"harm"}))
    assert (tmp_path / "outside" / "train.py").read_text() == "precious"


def test_emptying_follows_no_link_and_stops_at_no_permission(workspace, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    precious.chmod(0o500)
    (workspace.folder / "link").symlink_to(precious)
    closed = workspace.folder / "closed" / "more"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0)
    closed.parent.chmod(0)
    workspace.fresh(SOURCE)
    assert (precious / "file").exists() and precious.stat().st_mode & 0o777 == 0o500
    assert sorted(path.name for path in workspace.folder.iterdir()) == sorted({p.split("/")[0] for p in FILES})


def test_a_folder_that_became_a_link_is_replaced_not_followed(workspace, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    workspace.folder.rename(elsewhere)
    workspace.folder.symlink_to(elsewhere)
    workspace.fresh(SOURCE)
    assert not workspace.folder.is_symlink() and (elsewhere / "train.py").exists()


def test_fixed_folders_stand_for_all_files_in_them(workspace):
    assert set(workspace.fixed_files()) == {"prepare.py", "kernels/a.py", "kernels/b.py"}


def test_parses_says_where_it_does_not():
    assert parses(Edit({"train.py": b"x = 1\n", "notes.md": b"x = = 1"})) is None
    assert parses(Edit({"train.py": b"x = 1\ny = = 2\n"})) == "train.py, line 2: invalid syntax"
    assert "null bytes" in (parses(Edit({"train.py": b"x = 1\0"})) or "")
    assert parses(Edit({"train.py": b"(" * 5000})) is not None
    assert parses(Edit({"train.py": b"\xff\xfe"})) is not None


MONOREPO = {"common/score.py": "shared", "re search/train.py": "old", "re search/src/a.py": "a", "other/b.py": "b"}
PART = Project(
    command=("x",), editable=("train.py", "src"), fixed=("../common", "../common/score.py"), prefix="re search/"
)


@pytest.fixture
def part(tmp_path, base) -> Workspace:
    workspace = Workspace(tmp_path / "run", base(MONOREPO), PART)
    assert workspace.fresh(Source({"train.py": b"new", "src/more.py": b"m"})) == tmp_path / "run" / "re search"
    return workspace


def test_a_sub_folder_is_worked_in_with_the_whole_repository_around_it(part, tmp_path):
    assert (part.project_folder / "train.py").read_text() == "new"
    assert (part.project_folder / "../common/score.py").read_text() == "shared"
    assert (tmp_path / "run" / "other" / "b.py").read_text() == "b"
    assert set(part.hashes(Source({"train.py": b"new"}))) == {"train.py", "../common/score.py"}
    (tmp_path / "run" / "common" / "score.py").write_text("better")
    with pytest.raises(ForbiddenEdit, match=r"changed \.\./common/score\.py"):
        part.edit_from(Source({"train.py": b"new"}))


def test_new_files_count_where_they_may_be_made(part):
    parent = Source({"train.py": b"new", "src/a.py": b"a"})
    for path in ("src/deep/new.py", "src/__pycache__/x.pyc", "src/.hidden", "scratch.py", "src/binary.dat"):
        (part.project_folder / path).parent.mkdir(exist_ok=True)
        (part.project_folder / path).write_bytes(b"\0" if path.endswith("dat") else b"n")
    assert part.edit_from(parent) == Edit({"src/deep/new.py": b"n", "src/more.py": b"m"})


@pytest.mark.parametrize("path", ["../../out.py", "../../run", "../..", "../common/../../x"])
def test_a_sub_folder_is_no_way_out(part, path):
    with pytest.raises(ForbiddenEdit, match="outside the workspace"):
        part.fresh(Source({path: b"x"}))


def test_files_that_no_machine_could_lay_out_are_no_fault_of_this_one(tmp_path, base, monkeypatch):
    clash = Source({"train.py": b"x", "train.py/below.py": b"y"})
    long = Source({"x" * 300: b"x"})
    for source in (clash, long):
        with pytest.raises(Unmakeable, match="cannot be laid out"):
            Workspace(tmp_path / "run", base(FILES), PROJECT).fresh(source)
    with pytest.raises(Unmakeable):
        Workspace(tmp_path / "run", b"no archive", PROJECT).fresh(Source({}))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="full"):
        Workspace(tmp_path / "run", base(FILES), PROJECT).fresh(SOURCE)


def test_an_editable_program_stays_executable(tmp_path, base):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("train.py")
        info.mode = 0o755
        tar.addfile(info)
    workspace = Workspace(tmp_path / "run", buffer.getvalue(), PROJECT)
    workspace.fresh(SOURCE)
    assert (workspace.folder / "train.py").stat().st_mode & 0o777 == 0o755
    assert (workspace.folder / "model/net.py").stat().st_mode & 0o777 == 0o644


def test_text_with_a_byte_order_mark_of_utf_16_is_text():
    assert is_text("value = 1\n".encode("utf-16")) and is_text("höhe = 1\n".encode("latin-1"))
    assert not is_text(b"\xff\xfe\x00\xd8\x01\x02") and not is_text(b"\x7fELF\0\0") and not is_text(b"a" * 2_000_001)
