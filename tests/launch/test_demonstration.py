"""When a number only shows that the swarm works, as edited code can read what it is measured on.

python -m pytest tests/launch/test_demonstration.py
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from swarm.execution.sandbox import sandbox
from swarm.history.results_writer import write_results
from swarm.lab.demo import demo_swarm
from swarm.launch.demonstration import demonstration
from swarm.project.project import Project
from swarm.views.leaderboard import render
from swarm.views.report import write_report
from swarm.wording.headline import headline
from tests.board.nights import Night

PROJECT = Project(command=("x",), editable=("train.py",), held_out=("corpora/*/val.*",), prepare="python prepare.py")
DATA = {"key": "abc", "corpus": "text", "sources": 1}

if why := sandbox.missing():
    pytest.skip(why, allow_module_level=True)


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes down what held-out text was read from, as prepare.py does."""
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))

    def write(root: Path, *names: str, key: str = "abc") -> None:
        folder = tmp_path / "cache" / "corpora" / key
        folder.mkdir(parents=True, exist_ok=True)
        files = [{"path": name, "bytes": 1, "sha256": "", "lines": []} for name in names]
        (folder / "val.sources.json").write_text(json.dumps({"root": str(root), "library": False, "files": files}))

    return write


def told(root: Path, data: object = DATA, project: Project = PROJECT, held: tuple[str, ...] = (), mode="auto") -> str:
    return demonstration(project, data, root, frozenset(held), mode)  # type: ignore[arg-type]


def test_text_elsewhere_is_closed_and_the_number_counts(tmp_path: Path, listed) -> None:
    listed(tmp_path / "text", "a.txt")
    assert told(tmp_path / "repo") == ""
    assert told(tmp_path / "repo", {"key": "abc", "sources": 0}) == "", "it was downloaded"
    assert told(tmp_path / "repo", {"key": "abc"}) == "", "another project's data says nothing of it"


def test_without_a_sandbox_nothing_is_closed(tmp_path: Path, listed) -> None:
    listed(tmp_path / "text", "a.txt")
    assert "without a sandbox" in told(tmp_path, mode="off")
    assert told(tmp_path, project=replace(PROJECT, held_out=()), mode="off") == "", "nothing is held out"


def test_text_of_the_commit_cannot_be_closed(tmp_path: Path, listed) -> None:
    listed(tmp_path / "repo" / "docs", "a.md", "b.md")
    assert told(tmp_path / "repo", held=("docs/c.md",)) == ""
    assert told(tmp_path / "repo", held=("docs/b.md",)).startswith("docs/b.md holds held-out text")


def test_many_files_beside_what_runs_need_cannot_be_closed(tmp_path: Path, listed) -> None:
    (tmp_path / "0.txt").touch()
    listed(tmp_path, *(f"{n}.txt" for n in range(1000)))
    assert "where runs need others" in told(tmp_path / "repo")


def test_a_corpus_of_which_nobody_knows_where_it_came_from(tmp_path: Path) -> None:
    assert told(tmp_path, {"key": "abc", "sources": None}).endswith("`python prepare.py` does")


def test_a_damaged_list(tmp_path: Path, listed) -> None:
    listed(tmp_path / "text", "a.txt")
    (tmp_path / "cache" / "corpora" / "abc" / "val.sources.json").write_text("[")
    assert "damaged" in told(tmp_path)


def test_it_is_said_wherever_the_number_stands(tmp_path: Path) -> None:
    plain = demo_swarm()
    marked = structs.replace(plain, demonstration="docs/b.md holds held-out text")
    assert "emonstration" not in headline(plain) and "Demonstration only" in headline(marked)
    report, _ = write_report(marked, tmp_path, None, {})
    text = report.read_text()
    assert "**Demonstration only: docs/b.md holds held-out text.**" in text
    assert text.splitlines()[0].endswith(", demonstration only")
    told = io.StringIO()
    Console(file=told, width=160).print(render(marked, 160, 40))
    assert "DEMONSTRATION ONLY" in told.getvalue()


@pytest.mark.parametrize("why", ["", "no sandbox"])
def test_results_say_it_in_every_row(make_night, tmp_path: Path, why: str) -> None:
    night: Night = make_night(settings=json.dumps({"demonstration": why}))
    night.baselines()
    night.ledger.execute("UPDATE experiments SET commit_sha = 'c0ffee'")
    write_results(night.ledger, night.transaction().tag, tmp_path)
    rows = (tmp_path / "gpu0" / "results.tsv").read_text().splitlines()[1:]
    assert rows and all(row.endswith(" (demonstration only)") == bool(why) for row in rows)
