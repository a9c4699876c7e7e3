"""What an edit must be before it may run, and what whoever made it is told."""

from __future__ import annotations

from typing import Any

import pytest

from swarm.agent.edit_check import as_written, fault
from swarm.project.project import Project
from swarm.records import Edit, Source
from tests.deep_python import BROKEN, DEEP, LONG

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


def told(before: str, after: str) -> str:
    said = fault(Edit({"train.py": after.encode()}), Source({"train.py": before.encode()}), PROJECT)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP)
def test_nothing_that_parses_is_too_deep_to_be_checked(deep: str) -> None:
    said = told("x = 1\n", f"x = 1\n{deep}\n")
    assert said == "" or said.startswith("is refused by a check of train.py: "), said
    assert told(f"{deep}\n", f"{deep}\ny = 2\n") == "", "a project whose own file is so deep"
    cheat = told(f"{deep}\n", f"{deep}\nimport socket\n")
    assert cheat.startswith("is refused by a check of train.py: process: imports socket"), cheat


@pytest.mark.parametrize("number", LONG.values(), ids=LONG)
def test_nor_is_a_number_too_long(number: str) -> None:
    said = told("x = 1\n", f"x = 1\n{number}\n")
    assert said == "" or said.startswith("is refused by a check of train.py: "), said
    assert told(f"{number}\n", f"{number}\ny = 2\n") == ""


@pytest.mark.parametrize("deep", ["1 + " * 600, "-" * 600, "not " * 600, "(lambda: 1) or " * 300])
def test_what_stands_deep_inside_is_found(deep: str) -> None:
    assert "process" in told("import os\n", f"import os\nx = {deep}os.system('x')\n")


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_too_deep_for_python_does_not_parse(broken: str) -> None:
    assert told("x = 1\n", broken).startswith("does not parse: train.py")
    assert told(f"{broken}\n", "x = 1\n") == "", "a file that is no Python may become some"
