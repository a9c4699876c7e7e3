"""docs/json.md is what the code says, and what verbs print is what docs/json.md says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swarm import cli
from swarm.cli.json_docs import faults, page
from swarm.cli.shapes import SHAPES, PlanTold
from swarm.lab.simulation.project import make_project
from swarm.ledger.home import ledger_path
from tests.board.nights import leave_a_kept_step
from tests.verbs import called

RESULTS = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n" + "".join(
    f"{number:07x}\t{1 - number / 100 + number % 3 / 500}\t1.0\t{status}\tidea {number}\n"
    for number, status in enumerate(["keep", "discard", "keep", "discard", "keep", "discard", "discard"])
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a swarm in its ledger, which nobody leads."""
    root = make_project(tmp_path_factory.mktemp("json") / "project", budget=0.1)
    leave_a_kept_step(ledger_path(root), agents=2)
    (root.parent / "results.tsv").write_text(RESULTS)
    return root


def test_the_page_is_made_from_the_code() -> None:
    written = Path(__file__).parents[2].joinpath("docs/json.md").read_text(encoding="utf-8")
    assert written == page(), "python -m swarm.cli.json_docs > docs/json.md"


def test_every_verb_with_json_has_a_shape() -> None:
    assert {name for name, verb in cli.parser().verbs.items() if "--json" in verb.flags()} == set(SHAPES)


@pytest.mark.parametrize(
    "words",
    [
        "status", "show baseline", "show gpu0-0001", "ls", "doctor", "report", "tell look at the loader",
        "launch --dry-run --device cpu --agents 1 --tag apr6", "launch --dry-run --device sim --tag apr6 --try",
        "launch --dry-run --device cpu --sandbox off --tag apr7 --hours 2 --max-experiments 3",
        "init --skill", "replay apr5 --policy race", "judge ../results.tsv", "judge ../results.tsv --sigma 0.01",
        "import ../results.tsv",
    ],
)  # fmt: skip
def test_real_output_is_as_it_is_documented(words: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    verb = words.split()[0]
    done = called(*words.split(), "--json")
    assert done.returncode in ((0, 1) if verb == "doctor" else (0,)), done.stderr
    told = json.loads(done.stdout)
    wrong = [list(faults(told, shape)) for shape in SHAPES[verb]]
    assert not min(wrong, key=len), f"see swarm/cli/shapes.py: {min(wrong, key=len)}"


def test_a_plan_is_values(root: Path) -> None:
    words = ("--device", "cpu", "--agents", "2", "--tag", "apr8", "--hours", "90m", "--max-usd", "3", "--budget", "2m")
    done = called("launch", "-C", str(root), "--dry-run", "--json", *words)
    told = json.loads(done.stdout)
    assert (told["metric"], told["direction"], told["budget_seconds"]) == ("val_bpb", "lower", 120)
    assert told["limits"] == {"hours": 1.5, "max_experiments": None, "max_usd": 3, "max_tokens": None}
    assert told["editable"] == ["train.py"] and told["command"][0] == "{python}"
    assert [agent["agent"] for agent in told["agents"]] == ["gpu0", "gpu1"]
    assert told["sandbox"]["asked"] == "auto" and (told["sandbox"]["used"] is None) == bool(told["sandbox"]["why_not"])


def test_what_differs_is_found() -> None:
    """The check can fail: a key too many or too few, a text for a number, true for a number, an object for a list."""
    said = list(faults({"tag": 3, "limits": {"hours": "8"}, "agents": {}, "resumes": 1, "new": 0}, PlanTold))
    for fault in ("it.tag is 3", "it.limits.hours is '8'", "it.agents is no list", "it.resumes is 1"):
        assert any(line.startswith(fault) for line in said), fault
    assert "it.new is not documented" in said and "it.root is missing" in said
