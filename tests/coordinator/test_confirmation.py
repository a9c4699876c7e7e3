"""The verb confirm on the synthetic project: real workspaces, guards and trainings, a real ledger, no Ray."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.board.board import Board
from swarm.cli import main
from swarm.coordinator.founding import enter_ledger, take_folder
from swarm.history.repository import History
from swarm.lab.simulation.project import make_project
from swarm.lab.simulation.truth import true_value
from swarm.launch.plan import make_plan
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.project.settings import Config
from swarm.researchers.sweep.knobs import write_knobs
from tests.coordinator.driving import Drive, swarm

FLAGS = ("--seeds", "4")
GOOD = {"DEPTH": 10, "EMBEDDING_LR": 0.9, "WARMDOWN_RATIO": 0.7}  # truly 0.0064 better, which is ten sigma


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night that has kept one edit, discarded another and ended."""
    root = make_project(tmp_path_factory.mktemp("synthetic") / "project", budget=0.2)
    plan = make_plan(root, Config(tag="apr5", device="sim", agents=2))
    take_folder(plan.folder).close()
    enter_ledger(plan, ledger_path(root))
    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        night = Drive(Board(ledger, "apr5"), "gpu0", "gpu1")
        for value in (0.9998, 1.0002):
            night.run("gpu0", value)
            night.run("gpu1", value)
        night.edit("gpu0", "deeper, and longer down", turned(GOOD), **GOOD)
        while night.run("gpu0", lambda work: 1.0 if work.source == plan.code.source.sha else 0.996):
            pass
        night.edit("gpu1", "other scalars", turned({"SCALAR_LR": 0.7}), SCALAR_LR=0.7)
        night.run("gpu1", 1.1)
        ledger.execute("UPDATE swarms SET policy = 'race'")
        night.board.projected(History(root).project(ledger, "apr5"))
        night.board.end("stopped", "drained")
    return root


def turned(knobs: dict[str, Any]) -> Callable[[str], str]:
    return lambda text: write_knobs(text, "sim", knobs)


@pytest.fixture
def rows(ended: Path) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(ledger_path(ended))) as ledger:
        yield ledger


def test_a_real_gain_is_confirmed_on_pairs_of_fresh_seeds(ended: Path, rows: Ledger) -> None:
    done = swarm(ended, "confirm", "gpu0-0001", *FLAGS, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["experiment"], result["against"], result["n"]) == ("apr5-gpu0-0001", "apr5-gpu0-0000", 4)
    assert result["outcome"] == "better" and result["low"] > 0
    text = (ended / "train.py").read_text()
    truth = true_value(text) - true_value(write_knobs(text, "sim", GOOD))
    assert result["gain"] == pytest.approx(truth, abs=0.0015)
    assert result["rival_mean"] - result["mean"] == pytest.approx(result["gain"])
    assert {"std", "rival_std", "t_p", "wilcoxon_p"} <= result.keys()
    runs = rows.rows("SELECT * FROM runs WHERE purpose = 'confirm' AND confirmation = 1")
    assert [run["state"] for run in runs] == ["measured"] * 8
    assert {run["agent"] for run in runs} == {"gpu0", "gpu1"}
    seeds = [run["seed"] for run in runs]
    assert all(seeds.count(seed) == 2 for seed in seeds)
    assert rows.value("SELECT rung FROM experiments WHERE id = 'apr5-gpu0-0001'") == "confirmed"
    shown = swarm(ended, "show", "gpu0-0001").stdout
    assert "confirmed against baseline" in " ".join(shown.split())


def test_where_the_interval_contains_0_it_says_inconclusive(ended: Path, rows: Ledger) -> None:
    """A knob without any effect, against the code that it was tried on: the two differ by noise alone.

    Git and results.tsv are behind the ledger, as after a run that moves the trunk: they follow.
    """
    branch = "refs/heads/autoresearch/apr5"
    kept = History(ended).refs("apr5").get(branch)
    subprocess.run(["git", "-C", str(ended), "update-ref", "-d", branch], check=True)
    results = ended / ".swarm" / "apr5" / "gpu0" / "results.tsv"
    results.unlink(missing_ok=True)
    done = swarm(ended, "confirm", "gpu1-0001", "--seeds", "3")
    assert done.returncode == 0, done.stderr
    low, high = rows.row("SELECT low, high FROM confirmations WHERE experiment = 'apr5-gpu1-0001'")
    assert ("inconclusive at this scale" in done.stdout) == (low <= 0 <= high)
    assert kept and History(ended).refs("apr5")[branch] == kept and "keep" in results.read_text()
    assert "Wilcoxon" in done.stdout and "ask for 8" in done.stdout
    assert rows.value("SELECT rung FROM experiments WHERE id = 'apr5-gpu1-0001'") == "seen"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gpu0-0099",), "has no experiment gpu0-0099"),
        (("gpu0-0000",), "is the baseline"),
        (("gpu0-0001", "--against", "champion"), "has no champion yet: use --against baseline"),
        (("gpu0-0001", "--against", "gpu0-0001"), "are the same code"),
        (("gpu0-0001", "--seeds", "1"), "give 2 to 500"),
        (("gpu0-0001", "--gpus", "0,1"), "try `--device cpu"),
        (("gpu0-0001", "--tag", "may1"), "there is no swarm may1"),
    ],
)
def test_bad_input_is_refused_with_its_remedy_and_changes_nothing(
    ended: Path, rows: Ledger, words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows.value("SELECT count(*) FROM runs")
    assert main(["confirm", *words, "-C", str(ended)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and says in printed.err and len(printed.err.splitlines()) == 1
    assert rows.value("SELECT count(*) FROM runs") == before


def test_a_night_on_cores_is_confirmed_on_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose address is set in the shell, say: it is told how to do without."""
    root = make_project(tmp_path / "project", budget=0.2)
    plan = make_plan(root, Config(tag="apr5", device="cpu", agents=1, policy="race"))
    take_folder(plan.folder).close()
    enter_ledger(plan, ledger_path(root))
    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        night = Drive(Board(ledger, "apr5"), "gpu0")
        for value in (0.9998, 1.0002):
            night.run("gpu0", value)
        night.edit("gpu0", "deeper", turned(GOOD), **GOOD)
        night.run("gpu0", 1.1)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert main(["confirm", "gpu0-0001", "-C", str(root)]) == 2
    printed = capsys.readouterr().err
    assert "apr5 was measured on cpu: " in printed and "`unset RAY_ADDRESS`" in printed and "confirm" in printed
    assert len(printed.splitlines()) == 1


def test_a_running_swarm_is_left_alone(ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(Ledger(ledger_path(ended), write=True)):
        assert main(["confirm", "gpu0-0001", "-C", str(ended)]) == 2
    assert "already running" in capsys.readouterr().err


def test_what_was_cut_off_goes_on_when_it_is_asked_again(ended: Path, rows: Ledger) -> None:
    command = [sys.executable, "-m", "swarm", "confirm", "gpu0-0001", "--seeds", "5", "-C", str(ended)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        process.stderr.readline()  # the first run has ended
        process.kill()
    number = rows.value("SELECT id FROM confirmations WHERE wanted = 5 AND state = 'open'")
    begun = rows.value("SELECT count(*) FROM runs WHERE confirmation = ? AND state = 'measured'", number)
    assert begun >= 1
    done = swarm(ended, "confirm", "gpu0-0001", "--seeds", "5", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 5
    states = rows.rows("SELECT state, count(*) AS n FROM runs WHERE confirmation = ? GROUP BY state", number)
    assert {row["state"]: row["n"] for row in states}["measured"] == 10
    assert rows.value("SELECT count(*) FROM runs WHERE state = 'running'") == 0


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without GPUs, and two hosts with one each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1, num_gpus=1)
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
def test_on_a_cluster_its_gpus_make_the_runs_and_a_lost_one_is_made_up_for(ended: Path, rows: Ledger, cluster: Any):
    words = ("confirm", "gpu0-0001", "--seeds", "6", "--address", cluster.address, "-C", str(ended))
    command = [sys.executable, "-m", "swarm", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        next(line for line in iter(process.stderr.readline, "") if " seed " in line)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        shown, rest = process.communicate()
    assert process.returncode == 0, rest
    assert "is lost, and others do its work" in rest
    assert "6 pairs" in " ".join(shown.split()), shown
    number = rows.value("SELECT id FROM confirmations WHERE wanted = 6")
    runs = rows.rows("SELECT agent, state FROM runs WHERE confirmation = ?", number)
    assert [run["state"] for run in runs].count("measured") == 12 and "running" not in [run["state"] for run in runs]
    assert {run["agent"] for run in runs} == {"gpu0", "gpu1"}


def test_a_cluster_that_is_not_there_is_one_line(ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["confirm", "gpu0-0001", "-C", str(ended), "--address", "127.0.0.1:1"]) == 2
    assert "cannot be joined" in capsys.readouterr().err
