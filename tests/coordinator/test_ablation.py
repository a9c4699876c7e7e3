"""The verb ablate on the synthetic project: real workspaces, merges, guards and trainings, a real ledger, no Ray.

python -m pytest tests/coordinator/test_ablation.py
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.board.board import Board
from swarm.cli import main
from swarm.cli.json_docs import faults
from swarm.cli.shapes import SHAPES
from swarm.coordinator.founding import enter_ledger, take_folder
from swarm.history.repository import History
from swarm.lab.simulation.project import make_project
from swarm.launch.plan import make_plan
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.project.settings import Config
from swarm.researchers.sweep.knobs import write_knobs
from tests.coordinator.driving import Drive, swarm

GOOD = {"DEPTH": 10, "EMBEDDING_LR": 0.9, "WARMDOWN_RATIO": 0.7}  # truly 0.0064 better, which is ten sigma
NULL = "# Model architecture\nSPARE_HEADS = 3  # which nothing reads\nSPARE_WIDTH = 2 * SPARE_HEADS\n"
CHECK = "{python} -m py_compile train.py"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A swarm that has put two steps on its trunk, of which the first one is luck."""
    root = make_project(tmp_path_factory.mktemp("synthetic") / "project", budget=0.2)
    with (root / "swarm.toml").open("a") as settings:
        settings.write(f'\nchecks = ["{CHECK}"]\n')
    subprocess.run(["git", "commit", "-qam", "checks"], cwd=root, check=True)
    plan = make_plan(root, Config(tag="apr5", device="sim", agents=1))
    take_folder(plan.folder).close()
    enter_ledger(plan, ledger_path(root))
    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        night = Drive(Board(ledger, "apr5"), "gpu0")
        for value in (0.9998, 1.0002):
            night.run("gpu0", value)
        steps = {
            "spare heads": (lambda text: text.replace("# Model architecture\n", NULL), 1.0 - 0.0015),
            "deeper, and longer down": (lambda text: write_knobs(text, "sim", GOOD), 0.9945),
        }
        for title, (edit, value) in steps.items():
            night.edit("gpu0", title, edit)
            assert night.run("gpu0", value) and night.run("gpu0", value), "and the project's checks"
        assert len(ledger.rows("SELECT * FROM trunk")) == 3
        night.board.projected(History(root).project(ledger, "apr5"))
        night.board.end("stopped", "drained")
    return root


@pytest.fixture
def rows(ended: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(ledger_path(ended))) as ledger:
        yield ledger


def test_before_anybody_asked_there_is_no_minimal_patch(ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "champion", "--patch", "--minimal", "-C", str(ended)]) == 2
    told = capsys.readouterr().err
    assert "python -m swarm ablate --tag apr5" in told and len(told.splitlines()) == 1


def test_minimal_goes_with_the_champions_patch_alone(ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["champion", "--minimal"], ["gpu0-0001", "--patch", "--minimal"]):
        assert main(["show", *words, "-C", str(ended)]) == 2
        assert "show champion --patch --minimal" in capsys.readouterr().err


def test_a_killed_one_goes_on_and_tells_what_matters(ended: Path, rows: Ledger) -> None:
    """Killed in the middle, asked again: the same ablation, no run twice; then the table, the patch, the report."""
    command = [sys.executable, "-m", "swarm", "ablate", "apr5", "-C", str(ended)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for _ in range(3):
            line = process.stderr.readline()
            assert " seed " in line, line + process.stderr.read()
        process.kill()
    before = rows.value("SELECT count(*) FROM runs WHERE purpose = 'ablate' AND state = 'measured'")
    assert before >= 3
    done = swarm(ended, "ablate", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert not list(faults(told, SHAPES["ablate"][0]))
    verdicts = {step["title"]: step["dropped"] for step in told["steps"]}
    assert verdicts == {"deeper, and longer down": False, "spare heads": True}
    good = told["steps"][1]
    assert good["low"] > 0.003 and good["gain"] == pytest.approx(0.0064, abs=0.002) and good["runs"] == 2
    assert told["verified"] and told["pairs"] == 4 and told["lines"] - told["minimal_lines"] == 2
    assert rows.value("SELECT count(*) FROM ablations") == 1
    made = rows.rows("SELECT source, seed, count(*) AS n FROM runs WHERE purpose = 'ablate' AND state = 'measured'"
                     " GROUP BY source, seed")  # fmt: skip
    assert all(row["n"] == 1 for row in made)
    assert rows.value("SELECT count(*) FROM runs WHERE state = 'running'") == 0
    checked = rows.rows("SELECT state, failure FROM runs WHERE purpose = 'check' AND source = ?", told["minimal"])
    assert [tuple(row) for row in checked] == [("checked", None)], "the project's own checks, on what is left"
    _patch_applies(ended)
    _report_says_it(ended)


def _patch_applies(root: Path) -> None:
    shown = swarm(root, "show", "champion", "--patch", "--minimal")
    assert shown.returncode == 0, shown.stderr
    assert "without 1 of 2 steps: 6 changed lines instead of 8" in shown.stderr
    assert "has not" not in shown.stderr, "it went through all that the champion went through"
    assert (
        "Subject: [PATCH] deeper, and longer down\n" in shown.stdout and "Left out, as next to nothing" in shown.stdout
    )
    subprocess.run(["git", "apply"], input=shown.stdout, cwd=root, text=True, check=True)
    text = (root / "train.py").read_text()
    subprocess.run(["git", "checkout", "--", "train.py"], cwd=root, check=True, capture_output=True)
    assert text == write_knobs((root / "train.py").read_text(), "sim", GOOD)


def _report_says_it(root: Path) -> None:
    assert swarm(root, "report").returncode == 0
    for name in ("report.md", "report.html"):
        text = (root / ".swarm" / "apr5" / name).read_text()
        assert "What of it matters" in text and "drop" in text and "1 of 2 steps can go" in text, name


def test_a_swarm_without_a_step_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_project(tmp_path / "project", budget=0.2)
    plan = make_plan(root, Config(tag="apr5", device="sim", agents=1))
    take_folder(plan.folder).close()
    enter_ledger(plan, ledger_path(root))
    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        Board(ledger, "apr5").end("stopped", "drained")
    assert main(["ablate", "-C", str(root)]) == 2
    told = capsys.readouterr().err
    assert "nothing on its trunk" in told and len(told.splitlines()) == 1


def test_two_names_for_the_swarm_are_refused(ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", "apr5", "--tag", "apr6", "-C", str(ended)]) == 2
    assert "name one of them" in capsys.readouterr().err
