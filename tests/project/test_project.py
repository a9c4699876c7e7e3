"""What is researched, from swarm.toml or pyproject.toml: understood, or refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.project.project import Project, load_project, load_settings

GOOD = """
command = ["{python}", "train.py"]
editable = ["train.py"]
fixed = ["prepare.py", "kernels"]
metric = "accuracy"
direction = "higher"
budget = 60
sigma = { cpu = 0.01, cuda = 1e-3 }
outlier_gain = { cuda = 0.01 }
hours = 8
"""


def test_a_swarm_toml_says_everything(tmp_path: Path) -> None:
    (tmp_path / "swarm.toml").write_text(GOOD)
    project = load_project(tmp_path)
    assert project == Project(
        command=("{python}", "train.py"),
        editable=("train.py",),
        fixed=("prepare.py", "kernels"),
        metric="accuracy",
        direction="higher",
        budget=60.0,
        sigma={"cpu": 0.01, "cuda": 0.001},
        outlier_gain={"cuda": 0.01},
    )
    assert project.sign == -1 and Project(("x",), ("y",)).sign == 1
    assert project.argv(project.command) == [sys.executable, "train.py"]
    assert load_settings(tmp_path) == {"hours": 8}


def test_a_pyproject_serves_as_well_and_a_swarm_toml_goes_before_it(tmp_path: Path) -> None:
    lines = GOOD.replace("budget = 60", "budget = 30")
    (tmp_path / "pyproject.toml").write_text(f"[project]\nname = 'x'\n[tool.swarm]\n{lines}")
    assert load_project(tmp_path).budget == 30.0
    assert load_settings(tmp_path) == {"hours": 8}
    (tmp_path / "swarm.toml").write_text(GOOD)
    assert load_project(tmp_path).budget == 60.0


def test_the_repository_describes_itself() -> None:
    root = Path(__file__).resolve().parents[2]
    project = load_project(root)
    assert project.editable == ("trainer/train.py",)
    files = [*(root / "trainer").glob("*.py"), *(root / "trainer" / "kernels").glob("*.py"), root / "prepare.py"]
    guarded = {*project.editable, *project.fixed}
    assert guarded == {file.relative_to(root).as_posix() for file in files}, "every file of a run is one or the other"


@pytest.mark.parametrize("files", [{}, {"pyproject.toml": "[project]\nname = 'x'\n"}, {"swarm.toml": ""}])
def test_a_folder_that_describes_nothing_is_refused_with_the_remedy(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=r"has no train.py and says nowhere .*in a swarm.toml or \[tool.swarm\]"):
        load_project(tmp_path)
    assert load_settings(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("command = [", "does not parse"),
        ("command = ['x']", 'nothing says which files may be edited: say editable = ["FILE"] in swarm.toml'),
        ("editable = ['x']\ncommand = []", "must say command"),
        ("editable = ['x']\ncommand = 'a \"b'", "command 'a \"b': No closing quotation"),
        ("editable = ['x']\ncommand = 3", "command must be a list of texts"),
        ("editable = ['x']\ncommand = ['x']", "prints no metric that is known: say metric = "),
        ("editable = ['x']\ncommand = ['x']\nmetric = 'goodness'", 'say direction = "lower" or "higher" in swarm.toml'),
        ("editable = 'train.py'\ncommand = ['x']", "editable must be a list of texts"),
        ("editable = ['']\ncommand = ['x']", "editable must be a list of texts"),
        ("editable = ['x']\ncommand = ['x', 1]", "command must be a list of texts"),
        ("editable = ['x']\ncommand = ['x']\nmetric = 3", "metric must be a text"),
        (
            "editable = ['x']\ncommand = ['x']\nbudget = '5 min'",
            "budget must be a time such as 90s, 15m or 8h, or a number of seconds, not '5 min'",
        ),
        ("editable = ['x']\ncommand = ['x']\nbudget = true", "budget must be a time"),
        ("editable = ['x']\ncommand = ['x']\nbudget = -1", "above 0"),
        ("editable = ['x']\ncommand = ['x']\nbudget = inf", "budget must be a time"),
        ("editable = ['x']\ncommand = ['x']\nbudget = nan", "budget must be a time"),
        ("editable = ['x']\ncommand = ['x']\nsigma = { \"a\\nb\" = 'c' }", "sigma.a b must be a number, not 'c'"),
        ("editable = ['x']\ncommand = ['x']\nprepare = ['y']", "prepare must be a text, not ['y']"),
        ("editable = ['x']\ncommand = ['x']\nreferee_waits = 1", "referee_waits must be true or false, not 1"),
        ("editable = ['x']\ncommand = ['x']\nbudget = " + "9" * 5000, "does not parse"),
        ("editable = ['x']\ncommand = ['x']\nsigma = 0.1", "sigma must be a table of numbers"),
        ("editable = ['x']\ncommand = ['x']\nsigma = { cpu = 'a' }", "sigma.cpu must be a number"),
        ("editable = ['x']\ncommand = ['x']\nsigma = { cpu = 0 }", "above 0"),
        ("editable = ['x']\ncommand = ['x']\noutlier_gain = { cpu = 0 }", "above 0"),
        ("editable = ['x']\ncommand = ['x']\ndirection = 'up'", 'direction must be "lower" (minimize) or "higher"'),
        ("editable = ['x']\ncommand = ['x']\nguards = { a = 3 }", "guards.a must be a text"),
        ("editable = ['x']\ncommand = ['x']\nguards = '+1%'", "guards must be a table of texts"),
        ("editable = ['x']\ncommand = ['x']\nguards = { a = '10' }", 'guards.a = "10" is no bound'),
        ("editable = ['x', 'y']\nfixed = ['y']\ncommand = ['x']", "y is both editable and fixed"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "swarm.toml").write_text(text)
    with pytest.raises(UsageError) as said:
        load_project(tmp_path)
    assert message in str(said.value) and "swarm.toml" in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize(("written", "seconds"), [('"5m"', 300.0), ('"1m30s"', 90.0), ('"45"', 45.0), ("20", 20.0)])
def test_the_budget_is_a_time(tmp_path: Path, written: str, seconds: float) -> None:
    (tmp_path / "swarm.toml").write_text(f"command = ['x']\neditable = ['y']\nmetric = 'acc'\nbudget = {written}\n")
    assert load_project(tmp_path).budget == seconds


@pytest.mark.parametrize(
    ("written", "argv"),
    [
        ("python train.py --lr 0.1", ("python", "train.py", "--lr", "0.1")),
        ("{python} 'my train.py'", ("{python}", "my train.py")),
        ("cargo run -q && ./score.sh", ("sh", "-c", "cargo run -q && ./score.sh")),
        ("LC_ALL=C ./run.sh", ("sh", "-c", "LC_ALL=C ./run.sh")),
        ("./run.sh $HOME", ("sh", "-c", "./run.sh $HOME")),
        ("./run.sh > log", ("sh", "-c", "./run.sh > log")),
    ],
)
def test_a_command_may_be_one_text(tmp_path: Path, written: str, argv: tuple[str, ...]) -> None:
    (tmp_path / "swarm.toml").write_text(f'command = "{written}"\neditable = ["x"]\nmetric = "acc"\n')
    assert load_project(tmp_path).command == argv


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "swarm.toml").write_bytes(b"\x00\xff")
    with pytest.raises(UsageError, match="does not parse"):
        load_project(tmp_path)
