"""What an edit must be before it may run, and what whoever made it is told."""

from __future__ import annotations

from typing import Any

import pytest

from swarm.agent.edit_check import as_written, fault
from swarm.project.project import Project
from swarm.records import Edit, Source

PROJECT = Project(command=("x",), editable=("train.py", "knobs.json"), fixed=("prepare.py",))
PARENT = Source({"train.py": b"x = 1\n", "knobs.json": b"{}"})


@pytest.mark.parametrize(
    "files", [{"train.py": b"x = 2\n"}, {"knobs.json": b"any { thing"}, {"train.py": b"x = 2\n", "knobs.json": b"{}"}]
)
def test_a_change_of_editable_files_may_run(files: dict[str, bytes]) -> None:
    assert fault(Edit(files), PARENT, PROJECT) == ""


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "changes nothing"),
        ({"train.py": b"x = 1\n"}, "changes nothing"),
        (dict(PARENT.files), "changes nothing"),
        ({"train.py": b"x = = 2\n"}, "does not parse: train.py, line 1"),
        ({"train.py": b"x = 1\0"}, "does not parse"),
        ({"train.py": b"("}, "does not parse"),
        ({"prepare.py": b"cheat"}, "touches prepare.py; only train.py, knobs.json may be edited"),
        ({"train.py": b"x = 2\n", "../train.py": b""}, "touches ../train.py"),
        ({"/etc/passwd": b""}, "touches /etc/passwd"),
        ({"train.py": "x = 2\n"}, "must give the files' content as bytes"),
        ({"train.py": None}, "must give the files' content as bytes"),
    ],
)
def test_everything_else_is_told_in_one_line(files: dict[str, Any], reason: str) -> None:
    said = fault(Edit(files), PARENT, PROJECT)
    assert said.startswith(reason) and "\n" not in said


def test_an_edit_keeps_the_encoding_and_the_line_ends_of_the_file() -> None:
    parent = Source({"train.py": b"x = 1\r\n", "knobs.json": '{"größe": 1}\n'.encode("latin-1")})
    edit = as_written(Edit({"train.py": b"x = 2\n", "knobs.json": '{"größe": 2}\n'.encode()}), parent)
    assert edit.files == {"train.py": b"x = 2\r\n", "knobs.json": '{"größe": 2}\n'.encode("latin-1")}
    unchanged = Edit({"train.py": b"x = 1\n", "knobs.json": '{"größe": 1}\n'.encode()})
    assert fault(as_written(unchanged, parent), parent, PROJECT) == "changes nothing"


FOLDER = Project(command=("x",), editable=("src", "train.py"), fixed=("src/eval.py", "src/data/a.bin"))
IN_FOLDER = Source({"train.py": b"x = 1\n", "src/a.py": b"a = 1\n", "src/deep/b.py": b""})


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("src/new.py", ""),
        ("src/very/deep/new.py", ""),
        ("new.py", "touches new.py"),
        ("src/eval.py", "touches src/eval.py"),
        ("src/.git/config", "touches src/.git/config"),
        ("src/../eval.py", "touches src/../eval.py"),
        ("src/a.py/b.py", "makes src/a.py/b.py, where a file and a folder would have one name"),
        ("src/deep", "makes src/deep, where a file and a folder would have one name"),
        ("src/data", "makes src/data, where a file and a folder would have one name"),
        ("train.py/x.py", "makes train.py/x.py"),
    ],
)
def test_new_files_may_be_made_below_an_editable_folder(path: str, reason: str) -> None:
    said = fault(Edit({path: b"x = 3\n"}), IN_FOLDER, FOLDER)
    assert said.startswith(reason) if reason else said == ""


def test_a_new_file_is_checked_as_any_other_and_none_may_be_deleted() -> None:
    assert "does not parse" in fault(Edit({"src/new.py": b"("}), IN_FOLDER, FOLDER)
    assert "is refused" in fault(Edit({"src/new.py": b"import os\nos.system('x')\n"}), IN_FOLDER, FOLDER)
    assert fault(Edit({"src/a.py": b"b = 2\n"}, ("src/deep/b.py",)), IN_FOLDER, FOLDER).startswith("deletes src/deep/b")
    assert "makes src/x" in fault(Edit({"src/x": b"", "src/x/y.py": b""}), IN_FOLDER, FOLDER)
