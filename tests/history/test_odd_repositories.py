"""Repositories that are not plain: submodules, links, Git LFS, other object formats, sparse, shallow and partial clones,
linked working trees, odd names, and people with odd configurations."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.errors import SwarmError, UsageError
from swarm.history.repository import History
from tests.board.nights import CODE, Night

MakeNight = Callable[..., Night]
ODD = ("-rf.py", 'quo"te.py', "new\nline.py", "ünï code.py", "tab\t.py", "a b/c d.py")
PERSON = {
    f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (("NAME", "a"), ("EMAIL", "a@b"))
}


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, cwd=root, env=os.environ | PERSON, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=all")
    return git(root, "rev-parse", "HEAD")


def packed(history: History) -> dict[str, bytes | str]:
    """What a copy holds: content by path, of links where they lead to."""
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=io.BytesIO(history.base_tree("HEAD"))) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            found[member.name] = stream.read() if stream else member.linkname
    return found


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a configuration."""
    (tmp_path / "home").mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with train.py in a sub folder, and one beside it."""
    root = tmp_path / "project"
    (root / "research" / "vision").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "research" / "vision" / "train.py").write_bytes(CODE)
    (root / "research" / "vision" / "train.py").chmod(0o755)
    (root / "shared.py").write_text("1\n")
    commit(root)
    return root


def test_a_sub_folder_is_the_project_and_its_commits_stay_in_the_one_repository(
    root: Path, make_night: MakeNight
) -> None:
    history = History(root / "research" / "vision")
    assert (history.root, history.folder, history.prefix) == (
        *(root, root / "research" / "vision"),
        "research/vision/",
    )
    assert history.read("HEAD", "train.py") == CODE and history.read("HEAD", "../../shared.py") == b"1\n"
    night = make_night(base_commit=history.head())
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    history.project(night.ledger, night.tag)
    changed = git(root, "diff", "--name-only", "main", "autoresearch/apr5").splitlines()
    assert changed == ["research/vision/train.py"]
    assert git(root, "ls-tree", "autoresearch/apr5", "research/vision/train.py").startswith("100755 ")
    patch = history.diff("main", "autoresearch/apr5")
    for folder in (root, root / "research" / "vision"):
        subprocess.run(["git", "apply", "--check"], cwd=folder, input=patch + "\n", text=True, check=True)
    (root / "research" / "vision" / "train.py").write_text("x")
    (root / "shared.py").write_text("y")
    assert history.changed(["."]) == ["train.py"] and history.changed(["../.."]) == ["train.py", "../../shared.py"]


def test_a_new_file_is_committed_and_goes_again_with_the_step_that_brought_it(
    root: Path, make_night: MakeNight
) -> None:
    from swarm.records import Idea, Source

    history = History(root / "research" / "vision")
    night = make_night(base_commit=history.head())
    night.baselines()
    claim = night.claim("gpu0", Idea("more"))
    night.enter(claim, Source({"train.py": CODE + b"z = 1\n", "parts/new é.py": b"n = 1\n"}))
    night.run("gpu0", 1.5)
    made = history.project(night.ledger, night.tag)[claim.experiment]
    assert git(root, "-c", "core.quotePath=false", "diff", "--name-status", "main", made).split() == [
        *("A", "research/vision/parts/new", "é.py"),
        *("M", "research/vision/train.py"),
    ]


def test_a_tag_is_taken_once_in_a_repository(root: Path) -> None:
    one, other = History(root / "research" / "vision"), History(root)
    one.reserve("apr5", one.head())
    with pytest.raises(SwarmError, match="another swarm took the tag"):
        other.reserve("apr5", other.head())
    git(root, "update-ref", "refs/experiments/old-gpu0-0001", "HEAD")
    assert other.tags_of_experiments() == {"old"}


@pytest.mark.parametrize("flags", [["--object-format=sha256"], ["--ref-format=reftable"]])
def test_other_formats_of_git_are_read_and_written(tmp_path: Path, make_night: MakeNight, flags: list[str]) -> None:
    root = tmp_path / "other"
    root.mkdir()
    made = subprocess.run(["git", "init", "--quiet", *flags], cwd=root, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"this git knows no {flags[0]}")
    (root / "train.py").write_bytes(CODE)
    commit(root)
    history = History(root)
    assert packed(history) == {"train.py": CODE} and history.changed(["."]) == []
    night = make_night(base_commit=history.head())
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    made_commits = history.project(night.ledger, night.tag)
    assert set(history.refs("apr5").values()) >= set(made_commits.values())
    assert "train.py" in history.diff("HEAD", "autoresearch/apr5")
    assert history.forget("apr5") > 3


def test_submodules_come_from_their_checkouts(root: Path, tmp_path: Path) -> None:
    deepest, inner = tmp_path / "deepest", tmp_path / "inner"
    for folder in (deepest, inner):
        folder.mkdir()
        git(folder, "init", "--quiet")
        (folder / "lib.py").write_text(folder.name)
        commit(folder)
    git(inner, "submodule", "--quiet", "add", str(deepest), "deep")
    commit(inner)
    git(root, "submodule", "--quiet", "add", str(inner), "research/inner")
    git(root, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(root)
    (root / "research" / "inner" / "lib.py").write_text("not committed")
    history = History(root)
    found = packed(history)
    assert found["research/inner/lib.py"] == b"inner" and found["research/inner/deep/lib.py"] == b"deepest"
    assert history.tree("HEAD").gaps() == []
    assert history.changed(["."]) == ["research/inner"]
    assert history.read("HEAD", "research/inner/deep/lib.py") == b"deepest"
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(root), str(clone))
    bare = History(clone)
    assert packed(bare)["research/inner"] == ""
    assert bare.tree("HEAD").gaps() == [
        "the submodule research/inner is not checked out: `git submodule update --init --recursive research/inner`"
    ]
    git(clone, "submodule", "--quiet", "update", "--init", "--recursive", "research/inner")
    assert packed(History(clone)) == found
    own = History(root / "research" / "inner")  # a submodule that is named is a repository of its own
    assert (own.root, own.prefix) == (root / "research" / "inner", "")


def test_links_are_followed_in_the_tree_and_lead_out_of_a_copy_to_the_same_place(root: Path, tmp_path: Path) -> None:
    (root / "to file").symlink_to("research/vision/train.py")
    (root / "to folder").symlink_to("research")
    (root / "research" / "back").symlink_to("../to folder/vision")
    (root / "dangling").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    (root / "out").symlink_to("../home")
    (root / "absolute").symlink_to("/etc/hostname")
    (root / "higher").symlink_to("../../../../../../../..")
    commit(root)
    history = History(root)
    tree = history.tree("HEAD")
    assert tree.follow("to file") == tree.follow("research/back/train.py") == "research/vision/train.py"
    assert tree.read("to folder/vision/train.py") == CODE
    for path, words in (
        *(("dangling", "dangling, a symbolic link to nothing, is not in the last commit"), ("loop", "back to itself")),
        *(("out", "out of the repository"), ("absolute", "to /etc/hostname"), ("higher/etc", "out of the repository")),
    ):
        with pytest.raises(UsageError, match=words):
            tree.read(path)
    found = packed(history)
    assert found["to folder"] == "research" and found["absolute"] == "/etc/hostname"
    assert found["out"] == str(tmp_path / "home") and found["higher"] == "/"
    assert [line.split(" leads out")[0] for line in tree.gaps()][:1] == ["the link absolute"]


def test_git_lfs_files_come_with_their_content_or_are_named(root: Path) -> None:
    content = {"here.bin": b"in the checkout", "kept.bin": b"in the store", "gone.bin": b"nowhere"}
    (root / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for name, data in content.items():
        oid = hashlib.sha256(data).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n"
        (root / name).write_text(pointer)
    commit(root)
    (root / "here.bin").write_bytes(content["here.bin"])
    kept = hashlib.sha256(content["kept.bin"]).hexdigest()
    store = root / ".git" / "lfs" / "objects" / kept[:2] / kept[2:4]
    store.mkdir(parents=True)
    (store / kept).write_bytes(content["kept.bin"])
    history = History(root)
    found = packed(history)
    assert (found["here.bin"], found["kept.bin"]) == (content["here.bin"], content["kept.bin"])
    assert str(found["gone.bin"]).startswith("b'version https://git-lfs")
    assert history.tree("HEAD").gaps() == ["the content of gone.bin is not here, as Git LFS keeps it: `git lfs pull`"]
    with pytest.raises(UsageError, match="git lfs pull"):
        history.read("HEAD", "gone.bin")
    (root / "here.bin").write_bytes(b"in the CHECKOUT")  # another file of the same size
    assert str(packed(history)["here.bin"]).startswith("b'version")


def test_clones_and_working_trees_of_any_kind_look_alike(root: Path, tmp_path: Path) -> None:
    (root / "second.txt").write_text("2")
    commit(root)
    wanted = packed(History(root))
    for name, flags in {
        "shallow": ["--depth=1"],
        "partial": ["--filter=blob:none"],
        "sparse": ["--sparse"],
        "elsewhere": [f"--separate-git-dir={tmp_path / 'its.git'}"],
    }.items():
        git(root, "config", "uploadpack.allowFilter", "true")
        git(tmp_path, "clone", "--quiet", *flags, f"file://{root}", name)
        history = History(tmp_path / name)
        assert packed(history) == wanted and history.changed(["."]) == [], name
    git(root, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    linked = History(tmp_path / "linked" / "research")
    assert linked.root == tmp_path / "linked" and packed(linked) == wanted
    linked.reserve("apr5", linked.head())
    assert History(root).branches() == ["autoresearch/apr5"]


def test_names_of_any_kind_are_packed_and_told(root: Path) -> None:
    for name in ODD:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(name)
    commit(root)
    history = History(root)
    found = packed(history)
    assert {name: found[name] for name in ODD} == {name: name.encode() for name in ODD}
    for name in ODD:
        (root / name).write_text("changed")
        assert history.read("HEAD", name) == name.encode()
    assert sorted(history.changed(["."])) == sorted(ODD)
    assert history.changed(["-rf.py"]) == ["-rf.py"] and history.changed(["a b"]) == ["a b/c d.py"]


SETTINGS = {
    "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.context": "0", "diff.external": "false",
    "diff.renames": "copies", "diff.interHunkContext": "9", "diff.suppressBlankEmpty": "true", "diff.relative": "true",
    "diff.wsErrorHighlight": "all", "diff.colorMoved": "zebra", "diff.submodule": "log", "diff.orderFile": "/nowhere",
    "core.autocrlf": "true", "core.eol": "crlf", "core.quotePath": "true", "core.fsmonitor": "/bin/false",
    "core.pager": "false", "core.abbrev": "4", "core.hooksPath": "/nowhere", "color.ui": "always",
    "commit.gpgsign": "true", "gpg.program": "/bin/false", "apply.whitespace": "error", "status.short": "true",
    "status.showUntrackedFiles": "no", "status.branch": "true", "status.relativePaths": "true", "log.showSignature":
    "true", "diff.shout.textconv": "tr a-z A-Z <", "diff.shout.command": "false", "diff.shout.binary": "true",
    "merge.conflictStyle": "diff3", "push.followTags": "true", "user.useConfigOnly": "true",
}  # fmt: skip


def test_nobodys_configuration_changes_what_is_printed_or_stored(
    root: Path, tmp_path: Path, make_night: MakeNight
) -> None:
    (root / "ü.txt").write_text("one\n\ntwo\n")
    base = commit(root)
    (root / "ü.txt").write_text("one\n\nthree\n")
    git(root, "mv", "shared.py", "moved.py")
    changed = commit(root)
    night = make_night(base_commit=base)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    (root / "untracked.txt").write_text("new")

    def answers(folder: Path) -> tuple[object, ...]:
        history = History(root / folder)
        commits = history.project(night.ledger, night.tag)
        history.forget(night.tag)
        return history.diff(base, changed), packed(history), history.changed(["."]), commits

    plain = answers(Path()), answers(Path("research"))
    for name, value in SETTINGS.items():
        git(root, "config", "--file", str(tmp_path / "home" / ".gitconfig"), name, value)
    attributes = tmp_path / "home" / "attributes"
    attributes.write_text("* diff=shout\n*.txt -diff\n*.py ident filter=missing\n")
    git(root, "config", "--file", str(tmp_path / "home" / ".gitconfig"), "core.attributesFile", str(attributes))
    assert (answers(Path()), answers(Path("research"))) == plain
    assert "a/ü.txt" in str(plain[0][0]) and "\n one\n \n-two\n+three" in str(plain[0][0])


def test_what_git_refuses_is_passed_on_in_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(UsageError, match="git cannot use the repository around") as refused:
        History(root / "research")
    assert "\n" not in str(refused.value)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="git is not installed"):
        History(root)
