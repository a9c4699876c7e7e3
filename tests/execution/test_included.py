"""Which links bring what git does not hold into a copy, and the key of what they bring."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.execution import included
from swarm.execution.included import Included, environments, include

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a checkout of these files."""

    def make(*names: str) -> Path:
        for name in names:
            path = tmp_path / "repo" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        return tmp_path / "repo"

    return make


def links(found: Included) -> dict[str, str]:
    return {link.path: link.target for link in found.links}


def test_a_folder_is_one_link_however_much_is_in_it(make: Make) -> None:
    root = make("data/a.csv", "data/deep/b.csv", "train.py")
    found = include(root, ["data/"], {"train.py"})
    assert links(found) == {"data": str(root / "data")}
    assert found.opened == [root / "data"]
    assert [file.name for file in found.files] == ["data/a.csv", "data/deep/b.csv"]


def test_of_a_mixed_folder_only_what_git_does_not_hold(make: Make, tmp_path: Path) -> None:
    root = make("data/README.md", "data/a.csv", "data/sub/.gitkeep", "data/sub/b.csv", "data/all/c.csv")
    found = include(root, ["data"], {"data/README.md", "data/sub/.gitkeep"})
    assert sorted(links(found)) == ["data/a.csv", "data/all", "data/sub/b.csv"]
    copy = tmp_path / "copy"
    (copy / "data" / "sub").mkdir(parents=True)
    (copy / "data" / "README.md").write_text("of the commit")
    found.place(copy)
    assert sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()) == [
        "data/README.md", "data/a.csv", "data/sub/b.csv",
    ]  # fmt: skip
    assert (copy / "data/all/c.csv").read_text() == "data/all/c.csv"
    assert (copy / "data/README.md").read_text() == "of the commit"


def test_globs_and_what_the_commit_has_already(make: Make) -> None:
    root = make("a.csv", "b.csv", "c.csv", "lib/x.py")
    found = include(root, ["*.csv", "lib"], {"b.csv", "lib/x.py"})
    assert sorted(links(found)) == ["a.csv", "c.csv"]
    assert found.committed == ["lib"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("nothing", "there is no such path"),
        ("*.nothing", "there is no such path"),
        ("../outside", 'readable = ["../outside"]'),
        ("/etc", 'readable = ["/etc"]'),
        ("~/datasets", 'readable = ["~/datasets"]'),
        (".", "not the whole repository"),
        (".git", ".git is never part of a run"),
        (".swarm/t", ".swarm is never part of a run"),
        ("**", ""),
    ],
)
def test_what_cannot_be_included_is_refused_in_one_line(make: Make, pattern: str, words: str) -> None:
    root = make("train.py", ".git/config", ".swarm/t/x")
    if not words:
        assert not {".git", ".swarm"} & set(links(include(root, [pattern], {"train.py"})))
        return
    with pytest.raises(UsageError) as error:
        include(root, [pattern], {"train.py"})
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_link_to_data_elsewhere_opens_what_it_leads_to(make: Make, tmp_path: Path) -> None:
    root = make("data/a.csv")
    for name in ("big/images/1.png", "single.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (root / "corpus").symlink_to(tmp_path / "big")
    (root / "data/single.csv").symlink_to(tmp_path / "single.csv")
    (root / "data/loop").symlink_to(root / "data")
    (root / "data/gone").symlink_to(tmp_path / "gone")
    found = include(root, ["corpus", "data"], ())
    assert links(found) == {"corpus": str(tmp_path / "big"), "data": str(root / "data")}
    assert found.opened == [tmp_path / "big", root / "data", tmp_path / "single.csv"]
    assert [file.name for file in found.files] == ["corpus/images/1.png", "data/a.csv", "data/single.csv"]


def test_a_workspaces_packages_are_those_of_the_copy(make: Make, tmp_path: Path) -> None:
    """npm links them into node_modules: a run that followed these links would measure the checkout."""
    root = make("packages/mine/index.js", "node_modules/left-pad/index.js", "node_modules/@me/other/index.js")
    (root / "node_modules/mine").symlink_to("../packages/mine")
    (root / "node_modules/@me/mine").symlink_to("../../packages/mine")
    held = {"packages/mine/index.js"}
    copy = tmp_path / "copy"
    (copy / "packages/mine").mkdir(parents=True)
    (copy / "packages/mine/index.js").write_text("the copy")
    environments(root, held, Included()).place(copy)
    assert (copy / "node_modules/mine/index.js").read_text() == "the copy"
    assert (copy / "node_modules/@me/mine/index.js").read_text() == "the copy"
    assert (copy / "node_modules/left-pad/index.js").read_text() == "node_modules/left-pad/index.js"
    assert (copy / "node_modules/@me/other/index.js").exists()


def test_environments_are_those_that_are_some(make: Make) -> None:
    root = make(
        ".venv/pyvenv.cfg",
        "env/maze.py",
        "venv/notes.txt",
        "node_modules/x/index.js",
        ".pixi/envs/default/conda-meta/h",
    )
    assert sorted(links(environments(root, {"env/maze.py"}, Included()))) == [
        ".pixi/envs/default",
        ".venv",
        "node_modules",
    ]
    taken = include(root, ["node_modules"], ())
    assert "node_modules" not in links(environments(root, (), taken))


def test_the_key_is_that_of_names_sizes_and_content(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make("data/a.csv", "data/b.csv")
    first = include(root, ["data"], ()).key
    assert include(root, [], ()).key == ""
    os.utime(root / "data/a.csv", (0, 0))
    assert include(root, ["data"], ()).key == first, "a time says nothing of the content"
    (root / "data/a.csv").write_text("data/A.csv")
    assert include(root, ["data"], ()).key != first
    (root / "data/a.csv").rename(root / "data/c.csv")
    (root / "data/c.csv").write_text("data/a.csv")
    assert include(root, ["data"], ()).key != first


def test_of_very_much_content_a_part_is_read_that_is_always_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(included, "BLOCK", 100)
    monkeypatch.setattr(included, "MOST", 1000)
    root = make("data/small")
    (root / "data/large").write_bytes(bytes(5000))
    read: list[int] = []
    blocks = included._blocks
    monkeypatch.setattr(included, "_blocks", lambda file, some: read.extend(some) or blocks(file, some))
    first = include(root, ["data"], ()).key
    assert 5 <= len(read) <= 12
    with (root / "data/large").open("r+b") as stream:
        stream.write(b"x")
    assert include(root, ["data"], ()).key != first
    assert len(read) % 2 == 0 and read[: len(read) // 2] == read[len(read) // 2 :]


def test_what_was_changed_is_named(make: Make) -> None:
    root = make("data/a.csv", "data/b.csv")
    found = include(root, ["data"], ())
    assert found.changed() == []
    (root / "data/b.csv").write_text("longer than before")
    (root / "data/a.csv").unlink()
    assert found.changed() == ["data/a.csv", "data/b.csv"]


def test_very_many_places_become_the_folder_around_them(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(included, "MANY", 3)
    root = make(*(f"data/{number}.csv" for number in range(5)), *(f"{number}.txt" for number in range(5)))
    assert include(root, ["data/*.csv"], ()).opened == [root / "data"]
    with pytest.raises(UsageError, match="move them into a folder"):
        include(root, ["*.txt"], ())
