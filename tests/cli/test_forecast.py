"""`simulate --from`: the next swarm on what an earlier one showed, from a ledger or from anybody's record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swarm.cli.json_docs import faults
from swarm.cli.shapes import Foretold
from swarm.lab.simulation.landscape import LANDSCAPES
from swarm.lab.simulation.project import make_project
from swarm.lab.simulation.simulated_swarm import TAG, SimulatedSwarm, simulate
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path, make_home
from tests.cli.test_judge import record
from tests.verbs import called

SHORT = ("--hours", "1", "--gpus", "1", "--nights", "2", "--workers", "1")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("forecast") / "project", budget=0.1)
    make_home(root / ".swarm")
    ledger = Ledger(ledger_path(root), write=True)
    simulate(SimulatedSwarm(LANDSCAPES["default"], 0.0006, gpus=2, hours=2.0), ledger)
    ledger.close()
    return root


def test_a_ledger_tells_the_next_swarm(root: Path) -> None:
    done = called("simulate", "-C", str(root), "--from", TAG, *SHORT, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and not list(faults(told, Foretold))
    assert (told["source"], told["metric"], told["gpus"], told["swarms"]) == (TAG, "val_bpb", 1, 2)
    assert [one["policy"] for one in told["policies"]] == ["carry", "race", "greedy"]
    assert told["policies"][2]["over_greedy"] == 1.0
    assert told["fitted"]["sigma"]["low"] < 0.0006 < told["fitted"]["sigma"]["high"]
    again = called("simulate", "-C", str(root), "--from", TAG, *SHORT, "--json")
    assert again.stdout == done.stdout  # equal seeds give equal results


def test_a_record_tells_it_too_and_says_what_it_cannot_know(tmp_path: Path) -> None:
    path = record(tmp_path / "results.tsv")
    done = called("simulate", "-C", str(tmp_path), "--from", str(path), *SHORT)
    assert done.returncode == 0, done.stderr
    assert "61 ideas" not in done.stdout and "60 ideas with a number, and 1 that crashed" in done.stdout
    for line in ("carry", "race", "greedy", "What this cannot know:", "give --sigma", "--budget says it"):
        assert line in done.stdout


def test_the_more_noise_the_less_is_known(tmp_path: Path) -> None:
    path = record(tmp_path / "results.tsv")
    words = ("simulate", "-C", str(tmp_path), "--from", str(path), *SHORT, "--json", "--sigma")
    small, large = (json.loads(called(*words, sigma).stdout) for sigma in ("0.0005", "0.005"))
    shares = [told["fitted"]["gain_share"] for told in (small, large)]
    known, unknown = (share["high"] - share["low"] for share in shares)
    assert unknown > 1.5 * known


@pytest.mark.parametrize(
    "words, remedy",
    [
        (("--from", "nobody"), "`python -m swarm ls` lists them"),
        (("--from", TAG, "--quick"), "--quick does not go with --from"),
        (("--from", TAG, "--sigma", "0.1"), "--sigma goes with --from FILE"),
        (("--from", TAG, "--hours", "0"), "above 0"),
        (("--from", TAG, "--policy", "rce"), "it is one of"),
        (("--from", "./nowhere.tsv"), "cannot be read"),
    ],
)
def test_wrong_input_is_one_line_with_the_remedy(words: tuple[str, ...], remedy: str, root: Path) -> None:
    done = called("simulate", "-C", str(root), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert remedy in done.stderr and done.stderr.count("\n") == 1
