"""What a repository says of itself: its command, files, metric, direction and budget, in the shapes that are about."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.errors import UsageError
from swarm.project.directions import direction_of
from swarm.project.look import look
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


def test_a_part_that_is_marked_to_evolve_is_edited(tmp_path: Path) -> None:
    marked = "def solve():\n    # EVOLVE-BLOCK-START\n    return 1\n    # EVOLVE-BLOCK-END\n"
    evaluator = 'from initial_program import solve\n# looks for "EVOLVE-BLOCK-START"\nprint(f"score: {solve()}")\n'
    repository(tmp_path, initial_program_py=marked, evaluator_py=evaluator, train_py="print(1)\n")
    found = look(tmp_path, {}).found["editable"]
    assert (found.value, found.origin) == (("initial_program.py",), "it has an EVOLVE-BLOCK")
    repository(tmp_path, other_py=marked)
    with pytest.raises(UsageError, match=r"several files have an EVOLVE-BLOCK.*initial_program.py"):
        load_project(tmp_path)


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


# -- repositories of other kinds -----------------------------------------------------------------------------------


def files(root: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def seen(root: Path) -> tuple[dict[str, object], dict[str, list[object]]]:
    """What is found, and the candidates of what is asked."""
    looked = look(root, {})
    found = {key: item.value for key, item in looked.found.items()}
    return found, {question.key: [item.value for item in question.candidates] for question in looked.questions}


SESSION = {
    "autoresearch.sh": "#!/bin/bash\ncargo build -q\npython3 bench/measure.py --bin target/x\n",
    "autoresearch.md": (
        "# Autoresearch\n## Metrics\n- **Primary**: `parse_ms` (ms, lower is better)\n- **Secondary**: `rss_mb`\n"
        "## How to Run\n`./autoresearch.sh`\n## Files in Scope\n- `src/parse.rs` — hot path\n- `bench/measure.py` —"
        " the harness\n## Off Limits\n- `src/api.rs`\n"
    ),
    "autoresearch.checks.sh": "cargo test -q\nbash tests/golden.sh\n",
    "tests/golden.sh": "",
    "bench/measure.py": "import common\nprint(f'METRIC parse_ms={t}')\nprint(f'METRIC rss_mb={m}')\n",
    "bench/common.py": "",
    "src/parse.rs": "",
    "src/api.rs": "",
}


def test_the_layout_of_pi_autoresearch(tmp_path: Path) -> None:
    found, asked = seen(files(tmp_path, SESSION))
    assert not asked
    assert found["command"] == ("bash", "autoresearch.sh") and found["editable"] == ("src/parse.rs",)
    assert (found["metric"], found["direction"], found["program"]) == ("parse_ms", "lower", "autoresearch.md")
    assert found["checks"] == ("bash autoresearch.checks.sh",)
    assert {*found["fixed"]} == {  # type: ignore[misc]
        *("autoresearch.sh", "bench/measure.py", "bench/common.py", "autoresearch.checks.sh", "tests/golden.sh"),
        "src/api.rs",
    }


def test_what_a_text_greps_and_what_the_session_names_are_a_conflict(tmp_path: Path) -> None:
    files(tmp_path, {**SESSION, "program.md": 'Read it: `grep "^val_acc:" run.log`\n'})
    found, asked = seen(tmp_path)
    assert asked == {"metric": ["parse_ms", "val_acc"]} and "direction" not in found
    with pytest.raises(
        UsageError, match=r"parse_ms \(autoresearch.md\), val_acc \(program.md\).*say metric = \"parse_ms\""
    ):
        load_project(tmp_path)


def test_the_journals_newest_segment_is_a_source_too(tmp_path: Path) -> None:
    row = '{"type": "config", "metricName": "fit", "bestDirection": "higher"}\n'
    files(tmp_path, {"autoresearch.sh": "true", "autoresearch.jsonl": row, "a.py": ""})
    found, asked = seen(tmp_path)
    assert (found["metric"], found["direction"]) == ("fit", "higher") and list(asked) == ["editable"]
    files(tmp_path, {"autoresearch.md": "Primary: `fit` (lower is better)\n## Files in Scope\n- `a.py`\n"})
    _, asked = seen(tmp_path)
    assert asked == {"direction": ["higher", "lower"]}


def test_an_evaluator_apart_from_what_is_edited(tmp_path: Path) -> None:
    program = (
        "Modify `strategy.py` — the only file you edit. Run: `python backtest.py > run.log 2>&1`.\n"
        'Read: `grep "^sharpe:" run.log`. Do not modify `backtest.py`.\n'
    )
    texts = {"program.md": program, "strategy.py": "import signals\n", "signals.py": ""}
    texts |= {"backtest.py": "import strategy, engine.core\nprint(f'sharpe: {s:.3f}')\n", "engine/core.py": ""}
    found, asked = seen(files(tmp_path, texts))
    assert not asked and found["command"] == ("{python}", "backtest.py") and found["editable"] == ("strategy.py",)
    assert (found["metric"], found["direction"]) == ("sharpe", "higher")
    assert {*found["fixed"]} == {"backtest.py", "engine/core.py", "signals.py"}  # type: ignore[misc]


ONE = {
    "README.md": "Only `bot.txt` may be edited. Run `python play.py` to see; higher `win_rate` is better.\n",
    "bot.txt": "",
    "play.py": "open('bot.txt')\nprint(f'(win_rate={w:.2f})')\n",
}


@pytest.mark.parametrize(
    ("changed", "command"),
    [
        ({}, ("{python}", "play.py")),
        ({"CLAUDE.md": "```\npython play.py\n```\n"}, ("{python}", "play.py")),
        ({"CLAUDE.md": "Run `python other.py` often.\n", "other.py": "open('bot.txt')"}, None),
        ({"CLAUDE.md": "```\npython other.py\n```\n", "other.py": ""}, None),
        ({"program.md": "Only edit `bot.txt`. Run: `python other.py`\n", "other.py": "open('bot.txt')"}, "other.py"),
        ({"play.py": "print(f'score={w:.2f}')\n"}, None),  # it does not reach what is edited
    ],
)
def test_the_only_command_that_texts_name_is_no_question(
    tmp_path: Path, changed: dict[str, str], command: tuple[str, ...] | str | None
) -> None:
    found, asked = seen(files(tmp_path, {**ONE, **changed}))
    command = ("{python}", command) if isinstance(command, str) else command
    assert found.get("command") == command and ("command" in asked) == (command is None)


@pytest.mark.parametrize(
    ("justfile", "command"),
    [
        ("# plays\nplay:\n    @python play.py bot.txt\n\nclean:\n    rm -f x\n", ("{python}", "play.py", "bot.txt")),
        ("set dotenv-load\nplay:\n    python play.py bot.txt\n", ("just", "play")),
        ("play: build\n    python play.py bot.txt\n", ("just", "play")),
        ("play:\n    python play.py {{file}} bot.txt\n", ("just", "play")),
        ("play:\n    cat bot.txt\n    python play.py\n", ("just", "play")),
    ],
)
def test_just_is_left_out_where_it_is_not_needed(tmp_path: Path, justfile: str, command: tuple[str, ...]) -> None:
    readme = ONE["README.md"].replace("python play.py", "just play")
    found, _ = seen(files(tmp_path, {**ONE, "README.md": readme, "justfile": justfile}))
    assert found.get("command") == command


def test_numbers_within_a_line_are_seen_where_no_line_begins_with_one(tmp_path: Path) -> None:
    line = "print(f'{i}/{n} - train_mae: {a:.3f} - val_mae: {b:.3f}')\n"
    found, _ = seen(files(tmp_path, {"train.py": line}))
    assert (found["metric"], found["direction"]) == ("val_mae", "lower")
    found, asked = seen(files(tmp_path, {"train.py": "print(f'{i}/{n} - loss: {a:.3f}')\n"}))
    assert "metric" not in found and "metric" in asked  # the loss of a step is no result


def test_what_a_text_says_of_its_direction_decides_between_numbers(tmp_path: Path) -> None:
    code = "print(f'a_ratio: {a:.2f}')\nprint(f'accuracy: {b:.2f}')\n"
    assert seen(files(tmp_path, {"train.py": code}))[1]["metric"] == ["accuracy", "a_ratio"]
    found, asked = seen(files(tmp_path, {"README.md": "It prints `a_ratio` (higher is better).\n"}))
    assert not asked and (found["metric"], found["direction"]) == ("a_ratio", "higher")


@pytest.mark.parametrize("pattern", ["src", "src/*.py", "."])
def test_a_folder_or_glob_to_edit_is_looked_into(tmp_path: Path, pattern: str) -> None:
    code = "import shapes\nTIME_BUDGET = 60\nprint(f'val_loss: {x:.3f}')\n"
    files(tmp_path, {"src/train.py": code, "src/shapes.py": "", "swarm.toml": f'editable = ["{pattern}"]\n'})
    project = load_project(tmp_path)
    assert (project.command, project.editable) == (("{python}", "src/train.py"), (pattern,))
    assert (project.metric, project.budget, project.fixed) == ("val_loss", 60.0, ())


def test_a_folder_that_a_text_forbids_is_fixed_in_an_editable_one_too(tmp_path: Path) -> None:
    notes = (
        "Primary: `fit` (higher is better)\n## Files in Scope\n- `src/`\n## Off Limits\n- `src/rules/`\n- `cases/`\n"
    )
    texts = {"autoresearch.md": notes, "autoresearch.sh": "true\n", "src/a.py": "", "src/rules/b.py": "", "cases/c": ""}
    found, asked = seen(files(tmp_path, texts))
    assert not asked and found["fixed"] == ("autoresearch.sh", "src/rules", "cases")


def test_a_command_with_a_part_left_open_is_asked_for(tmp_path: Path) -> None:
    program = "The file you modify: `opt.py`. You launch it simply as: `python eval.py --model <name> > run.log`.\n"
    found, asked = seen(files(tmp_path, {"program.md": program, "opt.py": "", "eval.py": "print(f'bleu: {b:.2f}')"}))
    assert found["editable"] == ("opt.py",) and "command" in asked and "command" not in found


def test_a_recipe_that_prints_the_metric_is_the_command(tmp_path: Path) -> None:
    program = "Only edit `kernel.cu`. Maximize `tflops_eff`.\n"
    texts = {"program.md": program, "kernel.cu": "", "run.sh": 'echo "tflops_eff: $x"\n'}
    texts["Makefile"] = "bench: build\n\t./run.sh\n\ntrain:\n\techo no\n"
    found, asked = seen(files(tmp_path, texts))
    assert not asked and found["command"] == ("make", "-s", "bench")
    assert (found["metric"], found["direction"]) == ("tflops_eff", "higher")
    assert {*found["fixed"]} == {"Makefile", "run.sh"}  # type: ignore[misc]


def test_a_script_of_package_json(tmp_path: Path) -> None:
    texts = {"program.md": "Only edit `sort.js`. The metric is `ops_per_sec`.\n", "sort.js": ""}
    texts["package.json"] = '{"scripts": {"bench": "node bench.mjs", "lint": "eslint ."}}'
    texts["bench.mjs"] = 'import "./sort.js";\nconsole.log(`ops_per_sec: ${n}`);\n'
    found, asked = seen(files(tmp_path, texts))
    assert not asked and found["command"] == ("npm", "run", "-s", "bench")
    assert {*found["fixed"]} == {"package.json", "bench.mjs"}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("code", "candidates"),
    [
        ("print(f'val_loss: {l}')\nprint(f'val_acc: {a}')", ["val_loss", "val_acc"]),
        ("print(f'accuracy: {a}')\nprint(f'final_score: {s}')", ["accuracy", "final_score"]),
        ("print(f'METRIC a={a}')\nprint(f'METRIC b={b}')", ["a", "b"]),
        ("print(f'eval_seconds: {t:.1f}')\nprint(f'elapsed: {t}')", []),
        ("try:\n    run()\nexcept ValueError as e:\n    print(f'loss: {e}')\nprint(f'error: {e}')", []),
        ("print(f'score: {s}')", ["score"]),
    ],
)
def test_numbers_that_may_be_the_metric_are_asked_for(tmp_path: Path, code: str, candidates: list[str]) -> None:
    found, asked = seen(files(tmp_path, {"train.py": code}))
    assert asked["metric"] == candidates and "metric" not in found


def test_a_direction_that_is_said_is_found_and_one_that_is_not_is_asked_for(tmp_path: Path) -> None:
    files(tmp_path, {"train.py": "print(f'METRIC fitness={f}')"})
    assert seen(tmp_path)[1] == {"direction": ["lower", "higher"]}
    with pytest.raises(UsageError, match=r'fitness is better: say direction = "lower" or "higher" in a swarm.toml'):
        load_project(tmp_path)
    files(tmp_path, {"README.md": "`fitness` (0 to 1, higher is better)\n"})
    assert seen(tmp_path)[0]["direction"] == "higher"
    files(tmp_path, {"README.md": "The `accuracy` is lower = better here\n", "train.py": "print(f'accuracy: {f}')"})
    assert seen(tmp_path)[1] == {"direction": ["higher", "lower"]}


def test_a_folder_and_a_glob_stay_as_written_and_an_evaluator_in_them_is_fixed(tmp_path: Path) -> None:
    notes = "Primary: `fit` (higher is better)\n## Files in Scope\n- `src/`\n- `lib/**/*.py`\n"
    texts = {"autoresearch.md": notes, "autoresearch.sh": "python3 src/evaluate.py\n"}
    texts |= {"src/evaluate.py": "import model", "src/model.py": "", "lib/a/b.py": ""}
    found, asked = seen(files(tmp_path, texts))
    assert not asked and found["editable"] == ("src", "lib/**/*.py")
    assert found["fixed"] == ("autoresearch.sh", "src/evaluate.py")


def test_texts_that_do_not_agree_on_the_files_are_asked(tmp_path: Path) -> None:
    notes = {"autoresearch.md": "## Files in Scope\n- `a.py`\n", "program.md": "Only edit `b.py`.\n"}
    _, asked = seen(files(tmp_path, {**notes, "a.py": "", "b.py": ""}))
    assert asked["editable"] == [("a.py",), ("b.py",)]
    contested = {"autoresearch.md": "## Files in Scope\n- `a.py`\n- `b.py`\n## Off Limits\n- `b.py` mostly\n"}
    (tmp_path / "program.md").unlink()
    _, asked = seen(files(tmp_path, contested))
    assert asked["editable"] == [("a.py",), ("a.py", "b.py")]
    _, asked = seen(files(tmp_path, {"autoresearch.md": "Only edit `gone.py`.\n", "train.py": ""}))
    assert asked["editable"] == [("train.py",)]


def test_sessions_in_another_folder_are_asked(tmp_path: Path) -> None:
    config = '{"workingDir": "packages/a"}'
    _, asked = seen(files(tmp_path, {**SESSION, "autoresearch.config.json": config, "packages/a/x": ""}))
    assert asked == {"command": [("bash", "autoresearch.sh")]}


def test_candidates_lie_at_any_depth(tmp_path: Path) -> None:
    texts = {"a/b/c/train.py": "", "x/solver.cpp": "", "node_modules/train.py": "", ".hidden/train.py": ""}
    with pytest.raises(UsageError, match=r'\(\["a/b/c/train.py"\] or \["x/solver.cpp"\]\): say editable = \["a/b/c/tr'):
        load_project(files(tmp_path, texts))


def test_code_without_a_telling_name_is_listed_at_any_depth(tmp_path: Path) -> None:
    """Of a program in C++ and a package of numpy: no train.py, no file that is called solver."""
    beside = ("setup.py", "tests/test_a.cpp", "benches/b.rs", "fetch_data.py", "pkg/__init__.py", "a.h", "plot.py")
    root = files(tmp_path / "fast-sums", {**dict.fromkeys(beside, "x\n"), "pkg/deep/sum.cpp": "x\n" * 9, "b.cc": "x\n"})
    with pytest.raises(UsageError, match=r"has no train.py .*: say editable"):
        load_project(root)
    (question,) = look(root, {}).questions
    assert [item.value for item in question.candidates] == [("b.cc",), ("pkg/deep/sum.cpp",)]
    assert not question.guessable  # nothing speaks for one of them
    files(root, {"pkg/fast_sums.cc": ""})
    assert look(root, {}).questions[0].candidates[0].value == ("pkg/fast_sums.cc",)
    files(root, {"pkg/deep/solver.cpp": ""})
    (question,) = look(root, {}).questions[:1]
    assert question.candidates[0].value == ("pkg/deep/solver.cpp",) and question.guessable
    assert ("b.cc",) in [item.value for item in question.candidates]


def test_files_of_one_kind_are_no_guess(tmp_path: Path) -> None:
    (question,) = look(
        files(tmp_path, {"apps/a/policy.ts": "", "apps/b/model.rs": "", "apps/agent.json": ""}), {}
    ).questions
    assert [item.value for item in question.candidates] == [("apps/a/policy.ts",), ("apps/b/model.rs",)]
    assert not question.guessable


RESEARCH = {
    "autoresearch/program.md": "Maximize **win rate**.\n| `train.py` | **AI ONLY** |\n| `prepare.py` | fixed |\n",
    "autoresearch/train.py": "import prepare\nprint(f'loss: {x:.3f}')\nprint(f'\\n>>> METRIC: {win:.4f}')\n",
    "autoresearch/prepare.py": "",
    "train.py": "print(f'val_loss: {x:.3f}')\n",
    "README.md": "Run `python train.py --config a.yaml`.\n",
    "examples/other/program.md": "Only edit `x.py`.\n",
    "examples/other/x.py": "",
}


def test_a_folder_for_research_comes_before_what_lies_at_the_root(tmp_path: Path) -> None:
    found, asked = seen(files(tmp_path, RESEARCH))
    assert not asked and found["editable"] == ("autoresearch/train.py",)
    assert (found["program"], found["fixed"]) == ("autoresearch/program.md", ("autoresearch/prepare.py",))
    assert found["command"] == ("{python}", "autoresearch/train.py")
    assert (found["metric"], found["direction"]) == ("METRIC", "higher")
    files(tmp_path, {"program.md": "Only edit `train.py`.\n"})
    found, _ = seen(tmp_path)
    assert found["editable"] == ("train.py",) and "program" not in found


def test_a_number_that_goes_the_other_way_than_the_program_is_asked_for(tmp_path: Path) -> None:
    texts = {
        "program.md": "Only edit `train.py`. Maximize the win rate.\n",
        "train.py": "print(f'val_loss: {x:.3f}')\n",
    }
    found, asked = seen(files(tmp_path, texts))
    assert "metric" not in found and asked["metric"] == ["val_loss"]
    found, _ = seen(files(tmp_path, {"program.md": "Only edit `train.py`. Lower is better.\n"}))
    assert found["metric"] == "val_loss"


@pytest.mark.parametrize(
    ("program", "readme"),
    [("Make `solve.py` fast.\n", ""), ("", "Edit `solve.py`; run `python bench.py`.\n"), ("", "See `solve.py`.\n")],
)
def test_a_train_py_that_texts_do_not_mean_is_asked_for(tmp_path: Path, program: str, readme: str) -> None:
    texts = {"program.md": program, "README.md": readme, "solve.py": "", "bench.py": "", "train.py": TRAIN}
    found, asked = seen(files(tmp_path, {name: text for name, text in texts.items() if text or "." in name}))
    assert "editable" not in found and asked["editable"] == [("solve.py",), ("train.py",)]
    files(tmp_path, {"README.md": "`solve.py` is used by `train.py`.\n", "program.md": ""})
    assert seen(tmp_path)[0]["editable"] == ("train.py",)


def test_the_candidate_of_the_sessions_script_is_what_is_edited(tmp_path: Path) -> None:
    script = 'PREDICTOR_PATH="${PREDICTOR_PATH:-sub/p.py}"\npython run.py --file "$PREDICTOR_PATH"\n'
    row = '{"type": "config", "metricName": "fit", "bestDirection": "maximize"}\n'
    texts = {"autoresearch.sh": script, "autoresearch.jsonl": row, "sub/p.py": "", "run.py": "", "train.py": TRAIN}
    found, asked = seen(files(tmp_path, texts))
    assert not asked and found["editable"] == ("sub/p.py",) and found["direction"] == "higher"
    assert "sub/p.py" not in found["fixed"]  # type: ignore[operator]


def test_of_several_greps_what_is_to_be_improved_is_the_metric(tmp_path: Path) -> None:
    program = 'Only edit `train.py`. `grep "^hit_rate:\\|^val_acc:" run.log`\n'
    files(tmp_path, {"program.md": program, "train.py": "print(f'hit_rate: {x:.2f}')\nprint(f'val_acc: {y:.2f}')\n"})
    assert seen(tmp_path)[1]["metric"] == ["hit_rate", "val_acc"]
    files(tmp_path, {"program.md": program + "Maximize `val_acc`.\n"})
    found, asked = seen(tmp_path)
    assert not asked and found["metric"] == "val_acc"


def test_a_remark_that_a_text_leaves_open_is_filled_in(tmp_path: Path) -> None:
    program = 'Only edit `a.py`. Run: `python go.py --note "<what you changed>" --tag exp_{N} > run.log`\n'
    files(tmp_path, {"program.md": program, "a.py": "", "go.py": "print(f'val_acc: {x:.2f}')\n"})
    found, _ = seen(tmp_path)
    assert found["command"] == ("{python}", "go.py", "--note", "swarm", "--tag", "swarm")


def test_a_script_that_is_not_executable_is_run_by_what_its_first_line_names(tmp_path: Path) -> None:
    text = "Only edit `a.py`. Run: `./go.sh --all > run.log`\n"
    files(tmp_path, {"program.md": text, "a.py": "", "go.sh": "python a.py"})
    assert seen(tmp_path)[0]["command"] == ("bash", "./go.sh", "--all")
    (tmp_path / "go.sh").chmod(0o755)
    assert seen(tmp_path)[0]["command"] == ("./go.sh", "--all")


def test_what_fetches_is_no_command(tmp_path: Path) -> None:
    texts = {"README.md": "Run `python scripts/fetch_set.py`.\n", "scripts/fetch_set.py": "print(f'rows: {n:d}')\n"}
    texts |= {"pipeline.py": "", "Makefile": "bench-setup:\n\tpip install x\n"}
    _, asked = seen(files(tmp_path, texts))
    assert "command" not in asked or asked["command"] == []


@given(st.dictionaries(st.sampled_from([*SESSION, "program.md", "train.py", "Makefile", "package.json"]), st.binary()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_any_files_give_findings_or_questions(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("any")
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    looked = look(root, {})
    assert not {*looked.found} & {question.key for question in looked.questions}
    assert all("\n" not in question.text for question in looked.questions)
