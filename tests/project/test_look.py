"""What a repository says of itself: its command, files, metric, direction and budget, in the shapes that are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.project.directions import direction_of
from swarm.project.project import load_project

BLOCK = 'print("---")\nprint(f"val_bpb:          {loss:.6f}")\nprint(f"training_seconds: {3:.1f}")\n'
TRAIN = f"from prepare import TIME_BUDGET\nprint(f'Time budget: {{TIME_BUDGET}}s')\n{BLOCK}"


def repository(root: Path, **files: str) -> Path:
    """Files by name, `train_py` for train.py, `lib__model_py` for lib/model.py."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py").replace("_md", ".md").replace("_lock", ".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_autoresearch_as_it_is(tmp_path: Path) -> None:
    project = load_project(repository(tmp_path, train_py=TRAIN, prepare_py="TIME_BUDGET = 300  # seconds\n"))
    assert project.command == ("{python}", "train.py")
    assert (project.editable, project.fixed) == (("train.py",), ("prepare.py",))
    assert (project.metric, project.direction, project.budget) == ("val_bpb", "lower", 300.0)
    assert project.origins == {
        "command": "this Python; there is no .venv and no uv.lock",
        "editable": "it is there",
        "fixed": "what train.py uses",
        "metric": "printed by train.py",
        "direction": "by the metric's name",
        "budget": "TIME_BUDGET in prepare.py",
    }


def test_with_uv_its_own_environment_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(tmp_path, train_py=TRAIN, uv_lock="version = 1\n")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=r"run `uv sync` there first \(uv is not installed here: `python -m pip in"):
        load_project(tmp_path)
    (tmp_path / "swarm.toml").write_text('command = ["uv", "run", "train.py"]\n')
    assert load_project(tmp_path).command == ("uv", "run", "train.py")
    (tmp_path / "swarm.toml").unlink()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("")
    project = load_project(tmp_path)
    assert (project.command, project.origins["command"]) == (("{python}", "train.py"), "the repository's own .venv")


@pytest.mark.parametrize(
    ("line", "budget", "where"),
    [
        ("TIME_BUDGET = 5 * 60", 300.0, "prepare.py"),
        ("TIME_BUDGET: int = 120", 120.0, "prepare.py"),
        ("import os\nTIME_BUDGET = float(os.environ.get('TIME_BUDGET', '20'))", 20.0, "prepare.py"),
        ("import os\nTIME_BUDGET = int(os.environ.get('TIME_BUDGET') or 30)", 30.0, "prepare.py"),
        ("TIME_BUDGET_SECONDS = 0.5", 0.5, "prepare.py"),
        ("TIME_BUDGET = MINUTES * 60", 300.0, None),
        ("def f():\n    TIME_BUDGET = 7", 300.0, None),
        ("TIME_BUDGET = True", 300.0, None),
        ("TIME_BUDGET = (", 300.0, None),
    ],
)
def test_the_budget(tmp_path: Path, line: str, budget: float, where: str | None) -> None:
    project = load_project(repository(tmp_path, train_py=TRAIN, prepare_py=line + "\n"))
    assert project.budget == budget
    assert project.origins.get("budget", "").endswith(where or "") and ("budget" in project.origins) == bool(where)


def test_a_budget_in_the_training_file_itself(tmp_path: Path) -> None:
    project = load_project(repository(tmp_path, train_py="TIME_BUDGET = 60\n" + BLOCK))
    assert (project.budget, project.origins["budget"], project.fixed) == (60.0, "TIME_BUDGET in train.py", ())


@pytest.mark.parametrize(
    ("code", "metric", "direction"),
    [
        ("print(f'METRIC val_accuracy={a}')", "val_accuracy", "higher"),
        ("print(f'val_acc={a:.4f}')", "val_acc", "higher"),
        ("print('---')\nprint(f'num_steps: {n}')\nprint(f'test_loss: {l}')", "test_loss", "lower"),
        ("print(f'train_loss: {l}')\nprint(f'score: {l}')\nprint(f'eval_f1: {f}')", "eval_f1", "higher"),
        ("print(f'''---\ntotal_seconds: {s}\nperplexity: {p}\n''')", "perplexity", "lower"),
        ("print(f'accuracy: {a}')\nprint(f'val_bpb: {b}')", "val_bpb", "lower"),
        ("from helpers import tell\ntell()", "rmse", "lower"),
    ],
)
def test_the_metric(tmp_path: Path, code: str, metric: str, direction: str) -> None:
    repository(tmp_path, train_py=code, helpers_py="def tell():\n    print(f'rmse: {1}')\n")
    project = load_project(tmp_path)
    assert (project.metric, project.direction) == (metric, direction)


def test_the_metric_may_be_named_by_the_program_alone(tmp_path: Path) -> None:
    program = 'Read it with `grep "^val_bpb:" run.log`.\n'
    project = load_project(repository(tmp_path, train_py="report()", program_md=program))
    assert project.origins["metric"] == "named by program.md"


def test_a_program_beside_the_training_names_the_metric_too(tmp_path: Path) -> None:
    program = 'Read it with `grep "^val_loss:" run.log`.\n'
    repository(tmp_path, lab__train_py="report()", lab__program_md=program)
    (tmp_path / "swarm.toml").write_text('editable = ["lab/train.py"]\n')
    project = load_project(tmp_path)
    assert (project.metric, project.origins["metric"]) == ("val_loss", "named by lab/program.md")


def test_a_metric_that_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    repository(tmp_path, train_py="print(f'total_seconds: {s}')\nprint(f'goodness: {g}')")
    with pytest.raises(
        UsageError, match=r"no metric that is known.*\(it prints goodness\): say metric = \"goodness\" and dir"
    ):
        load_project(tmp_path)
    (tmp_path / "swarm.toml").write_text('metric = "goodness"\ndirection = "higher"\n')
    project = load_project(tmp_path)
    assert (project.metric, project.direction, project.command[1]) == ("goodness", "higher", "train.py")


def test_what_the_training_imports_is_fixed(tmp_path: Path) -> None:
    files = {
        "train_py": "import model, numpy\nfrom lib.layers import Block\n" + BLOCK,
        "model_py": "import tools\n",
        "tools_py": "import model\n",
        "other_py": "1\n",
        "lib__layers_py": "Block = 1\n",
    }
    assert set(load_project(repository(tmp_path, **files)).fixed) == {"model.py", "tools.py", "lib/layers.py"}


def test_a_training_in_a_folder_is_named_and_brings_what_lies_beside_it(tmp_path: Path) -> None:
    files = {"lab__train_py": f"import model\n{TRAIN}", "lab__prepare_py": "TIME_BUDGET = 60\n", "lab__model_py": "1\n"}
    files |= {"lab__program_md": "Lower it.\n"}
    repository(tmp_path, **files)
    with pytest.raises(UsageError, match=r'has no train.py and .*: say editable = \["lab/train.py"\] in a swarm.toml'):
        load_project(tmp_path)
    (tmp_path / "swarm.toml").write_text('editable = ["lab/train.py"]\n')
    project = load_project(tmp_path)
    assert (project.command, project.program) == (("{python}", "lab/train.py"), "lab/program.md")
    assert (set(project.fixed), project.budget) == ({"lab/prepare.py", "lab/model.py"}, 60.0)


def test_settings_win_over_what_is_found(tmp_path: Path) -> None:
    repository(tmp_path, train_py=TRAIN, prepare_py="TIME_BUDGET = 300\n")
    (tmp_path / "pyproject.toml").write_text('[tool.swarm]\nbudget = 7\nmetric = "accuracy"\nfixed = []\n')
    project = load_project(tmp_path)
    assert (project.budget, project.metric, project.direction, project.fixed) == (7.0, "accuracy", "higher", ())
    assert {"budget", "metric", "fixed"}.isdisjoint(project.origins)


def test_nothing_to_research(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no train.py .*run `python -m swarm init`"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_bpb", "lower"),
        ("val/acc", "higher"),
        ("F1", "higher"),
        ("primary_f05", "higher"),
        ("wall-time", "lower"),
        ("goodness", None),
    ],
)
def test_directions(name: str, direction: str | None) -> None:
    assert direction_of(name) == direction
