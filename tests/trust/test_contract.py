"""docs/trust.md is a contract: every promise in it names tests, and these exist and are run.

python -m pytest tests/trust/test_contract.py
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from swarm.project.project import load_project

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
PLACES = ("bubblewrap", "Landlock", "none", "CUDA")
HEADING = f"| promise | {' | '.join(PLACES)} | held by |"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    """The promises: the sentence, a word for each place, and the tests."""
    found, inside = [], False
    for line in CONTRACT.splitlines():
        inside = line == HEADING or (inside and line.startswith("|"))
        if inside and line != HEADING and not line.startswith("|---"):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


NAMED = sorted({test for row in rows() for test in TEST.findall(row[-1])})


@functools.cache
def functions(path: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    file = ROOT / path
    if not file.is_file():
        return {}
    defined = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name: node for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_is_a_promise_in_each_part_and_a_list_of_what_is_none() -> None:
    assert CONTRACT.count(HEADING) == 3 and len(rows()) > 20
    refused = CONTRACT.partition("## Not promised")[2].partition("\n## ")[0]
    assert len(re.findall(r"^- \*\*", refused, re.MULTILINE)) >= 8


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_a_promise_says_where_it_holds_and_which_test_holds_it(row: list[str]) -> None:
    assert len(row) == 2 + len(PLACES), "a | in a sentence?"
    sentence, *words, tests = row
    assert set(words) <= {"yes", "no", "partly"}
    assert ("partly" in words) == ("Partly: " in sentence), "how far, in the sentence"
    assert TEST.findall(tests) and not TEST.sub("", tests).strip(" ,"), "tests as `file::name`, and nothing else"


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part.rpartition("/")[2])
def test_a_test_that_holds_a_promise_exists_and_is_run(path: str, name: str) -> None:
    assert name in functions(path), f"{path} has no {name}"
    assert name.startswith("test_"), "no fixture or helper"
    marks = [ast.unparse(mark) for mark in functions(path)[name].decorator_list]
    marks += re.findall(r"^pytestmark = .*", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    left_out = [mark for mark in marks if re.search(r"mark\.(skip\b|xfail|slow|cluster|gpu)|skipif\(True", mark)]
    assert not left_out, "a promise is held by what is run everywhere"
    said = [part for part in functions(path)[name].body if isinstance(part, ast.Pass) or _is_prose(part)]
    assert len(said) < len(functions(path)[name].body), "it does nothing"


def _is_prose(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


def test_files_that_the_contract_names_are_there() -> None:
    named = re.findall(r"`((?:swarm|trainer|tests|docs)/[\w/.-]+\.(?:py|md))", CONTRACT)
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_file_that_a_training_and_its_referee_run_is_fixed_but_the_one_that_is_edited() -> None:
    """A file that is not in the list is not hashed: a new one is easily forgotten."""
    project = load_project(ROOT)
    run = [path for path in (ROOT / "trainer").rglob("*.py") if "bench" not in path.parts]
    names = {path.relative_to(ROOT).as_posix() for path in run} | {"prepare.py"}
    assert {name for name in names if not project.is_fixed(name)} == {"trainer/train.py"}


def test_it_can_be_read_in_five_minutes() -> None:
    prose = re.sub(r"`tests/[^`]*`", "", CONTRACT)
    assert len(re.findall(r"[A-Za-z]{2,}", prose)) < 1700
