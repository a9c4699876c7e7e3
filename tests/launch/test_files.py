"""Which files are editable and which fixed: patterns, links, submodules and Git LFS, seen from the project's folder."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.execution.included import Included
from swarm.execution.slot import Slot
from swarm.execution.workspace import Workspace
from swarm.history.repository import History
from swarm.launch import files
from swarm.launch.comparability import comparability_key
from swarm.launch.files import Files, find_files
from swarm.launch.start import changes
from swarm.project.project import Project

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
TREE = {
    "pro/train.py": "t", "pro/src/a.py": "a", "pro/src/deep/b.py": "b", "pro/src/eval.py": "e", "pro/src/notes.md": "n",
    "pro/src/logo.png": "\0png", "pro/[odd].py": "o", "common/score.py": "s", "common/more/x.py": "x",
    "pro/data/big.bin": POINTER, "pro/weights.bin": POINTER,
}  # fmt: skip


def git(root: Path, *arguments: str) -> None:
    mine = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *mine, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for path, text in TREE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "pro" / "linked.py").symlink_to("src/a.py")
    (root / "pro" / "sources").symlink_to("src")
    (root / "pro" / "src" / "link.py").symlink_to("a.py")
    (root / "pro" / "gone.py").symlink_to("nothing.py")
    (root / "pro" / "out.py").symlink_to("/etc/hostname")
    (root / "pro" / "shared.py").symlink_to("../common/score.py")
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=base")
    return root


def found(root: Path, editable: str, fixed: str = "") -> Files:
    """Patterns are given with blanks between them."""
    history = History(root / "pro")
    return find_files(Project(("x",), tuple(editable.split()), tuple(fixed.split())), history, "HEAD")


@pytest.mark.parametrize(
    ("editable", "fixed", "sources", "kept"),
    [
        ("train.py", "", "train.py", ""),
        ("./train.py", "src/eval.py", "train.py", "src/eval.py"),
        ("src", "src/eval.py", "src/a.py src/deep/b.py src/notes.md", "src/eval.py src/logo.png src/link.py"),
        ("src/*.py train.py", "src/eval.py", "src/a.py train.py", "src/eval.py src/link.py"),
        ("src/**/*.py", "src/eval.py", "src/a.py src/deep/b.py", "src/eval.py src/link.py"),
        ("src/deep", "src", "src/deep/b.py", "src/a.py src/eval.py src/link.py src/logo.png src/notes.md"),
        ("src/a.py", "../common", "src/a.py", "../common/more/x.py ../common/score.py"),
        ("linked.py", "", "src/a.py", ""),
        ("sources/deep", "shared.py", "src/deep/b.py", "../common/score.py"),
        ("[odd].py", "", "[odd].py", ""),
    ],
)
def test_patterns_stand_for_the_files_of_the_commit(
    root: Path, editable: str, fixed: str, sources: str, kept: str
) -> None:
    settled = found(root, editable, fixed)
    assert sorted(settled.source.files) == sorted(sources.split())
    assert sorted(settled.fixed.files) == sorted(kept.split())
    assert all(settled.project.may_edit(path) for path in settled.source.files)
    assert all(settled.project.is_fixed(path) and not settled.project.may_edit(path) for path in settled.fixed.files)
    assert settled.project.prefix == "pro/"


def test_new_files_are_editable_below_an_editable_folder_and_nowhere_else(root: Path) -> None:
    project = found(root, "src train.py", "src/eval.py").project
    assert project.may_edit("src/new.py") and project.may_edit("src/deep/er/new.py")
    for path in ("new.py", "src/eval.py/x.py", "src/logo.png", "src/../new.py", "data/x.py"):
        assert not project.may_edit(path), path


@pytest.mark.parametrize(
    ("editable", "fixed", "words"),
    [
        ("missing.py", "", "editable: missing.py is not in the last commit: commit it first"),
        ("src/*.cpp", "", "editable: src/*.cpp matches no file of the last commit"),
        ("../common/score.py", "", "editable: ../common/score.py is not in"),
        ("..", "", "name a folder that holds it with -C"),
        ("shared.py", "", "editable: ../common/score.py is not in"),
        ("../../other.py", "", "editable: ../../other.py is not in the repository"),
        ("/etc/hostname", "", "editable: /etc/hostname is not in the repository"),
        ("gone.py", "", "gone.py is a symbolic link to pro/nothing.py, which is not in the last commit"),
        ("out.py", "", "leads out of the repository, to /etc/hostname"),
        ("weights.bin", "", "editable: weights.bin is stored with Git LFS, and commits of a swarm hold plain files"),
        ("train.py", "data", "fixed: data/big.bin is stored with Git LFS, and its content is not here: `git lfs pull`"),
        ("src/logo.png src", "src", "editable: src/logo.png, src names no text file"),
        ("data", "", "editable: data names no text file"),
        ("src", "src", "editable: src names no text file that is not fixed"),
    ],
)
def test_what_names_nothing_that_can_be_edited_is_one_line(root: Path, editable: str, fixed: str, words: str) -> None:
    if editable == "src/logo.png src":  # a file that is named is editable, whatever it holds
        assert list(found(root, editable, fixed).source.files) == ["src/logo.png"]
        return
    with pytest.raises(UsageError) as refused:
        found(root, editable, fixed)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_files_of_a_submodule_are_read_and_never_edited(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "lib.py").write_text("lib")
    git(other, "init", "--quiet")
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message=lib")
    git(root, "submodule", "--quiet", "add", str(other), "pro/src/other")
    git(root, "commit", "--quiet", "--all", "--message=submodule")
    with pytest.raises(UsageError, match="in the submodule pro/src/other, a repository of its own: launch there"):
        found(root, "src/other/lib.py")
    settled = found(root, "src")
    assert "src/other/lib.py" in settled.fixed.files and "src/a.py" in settled.source.files
    (root / "pro" / "src" / "other" / "lib.py").write_text("changed")
    assert changes(History(root / "pro"), settled.project) == ["src/other"]
    git(tmp_path, "clone", "--quiet", str(root), "clone")
    with pytest.raises(UsageError, match="not checked out: `git submodule update --init --recursive pro/src/other`"):
        found(tmp_path / "clone", "train.py", "src/other/lib.py")


def test_changes_count_where_files_are_named_or_could_be_new(root: Path) -> None:
    project = found(root, "src/*.py train.py", "../common").project
    history = History(root / "pro")
    assert changes(history, project) == []
    for path in ("pro/src/new.py", "pro/src/new.txt", "pro/other.py", "common/score.py", "pro/train.py"):
        (root / path).write_text("changed")
    assert sorted(changes(history, project)) == ["../common/score.py", "src/new.py", "train.py"]


def test_too_much_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 3)
    with pytest.raises(UsageError, match="editable: src names 4 files of 0 MB, and every experiment keeps a copy"):
        found(root, "src")


def test_the_comparability_key_changes_with_every_fixed_file(root: Path) -> None:
    def key() -> object:
        settled = found(root, "src", "../common")
        slots = {"gpu0": Slot("cuda", 0)}
        return comparability_key(root, settled.project, settled.fixed, "cuda: x", slots, 1.0, {}, Included())["fixed"]

    before = key()
    (root / "common" / "more" / "x.py").write_text("changed")
    git(root, "commit", "--quiet", "--all", "--message=more")
    assert key() != before


def test_a_project_in_a_sub_folder_is_told_of_only_where_the_folder_is_none(root: Path) -> None:
    from swarm.launch.start import find_project

    (root / "swarm.toml").write_text('command = ["true"]\neditable = ["pro/train.py"]\nmetric = "val_loss"\n')
    with pytest.raises(UsageError, match=f"common is no project of its own, but {root} is: name that with -C {root}"):
        find_project(History(root / "common"))
    (root / "pro" / "swarm.toml").write_text('command = ["false"]\neditable = ["train.py"]\nmetric = "val_loss"\n')
    assert find_project(History(root / "pro")).command == ("false",)
    assert find_project(History(root)).command == ("true",)
    assert dataclasses.replace(find_project(History(root)), prefix="") == find_project(History(root))


def test_names_that_are_not_unicode_are_fixed_and_never_edited(root: Path) -> None:
    (root / "pro" / "src" / os.fsdecode(b"caf\xe9.py")).write_text("c")
    (root / "pro" / "src" / "lost").symlink_to(os.fsdecode(b"/caf\xe9"))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=latin")
    settled = found(root, "src")
    assert os.fsdecode(b"src/caf\xe9.py") in settled.fixed.files and "src/a.py" in settled.source.files
    assert settled.source.sha
    with pytest.raises(UsageError, match="has a name that is not UTF-8") as refused:
        find_files(Project(("x",), (os.fsdecode(b"src/caf\xe9.py"),)), History(root / "pro"), "HEAD")
    str(refused.value).encode()
    base = History(root / "pro").base_tree("HEAD")
    workspace = Workspace(root.parent / "copy", base, settled.project)
    workspace.fresh(settled.source)
    assert os.fsdecode(b"src/caf\xe9.py") in workspace.fixed_files()
