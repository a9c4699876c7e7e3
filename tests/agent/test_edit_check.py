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
