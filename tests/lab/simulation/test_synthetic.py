"""The synthetic project: a real repository whose train.py really runs, on a truth that holds what it claims."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import pytest

from swarm.errors import UsageError
from swarm.lab.simulation.project import TEMPLATE, make_project
from swarm.lab.simulation.truth import true_value
from swarm.project.project import load_project
from swarm.researchers.sweep.knobs import write_knobs

BLOCK = [
    "val_bpb",
    "training_seconds",
    "total_seconds",
    "peak_vram_mb",
    "mfu_percent",
    "total_tokens_M",
    "num_steps",
    "num_params_M",
    "depth",
]
UNTOUCHED = (TEMPLATE / "train.py").read_text()
ANSWER = {  # the way to the best there is
    "DEPTH": 10,
    "TOTAL_BATCH_SIZE": 2**18,
    "MATRIX_LR": 0.03,
    "EMBEDDING_LR": 0.9,
    "WEIGHT_DECAY": 0.1,
    "WARMDOWN_RATIO": 0.7,
    "FINAL_LR_FRAC": 0.05,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("synthetic") / "project")


def edited(**knobs: float | str) -> str:
    return write_knobs(UNTOUCHED, "sim", knobs)


def train(folder: Path, text: str = UNTOUCHED, **environment: object):
    """One real run of `text` as train.py, in an environment of its own."""
    (folder / "edited.py").write_text(text)
    env = {"TIME_BUDGET": "0.02", "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {name: str(value) for name, value in environment.items()}
    return subprocess.run([sys.executable, "edited.py"], cwd=folder, env=env, capture_output=True, text=True)


def block(run: subprocess.CompletedProcess[str]) -> dict[str, float]:
    assert run.returncode == 0, run.stderr
    lines = run.stdout.rpartition("---\n")[2].splitlines()
    assert all(line[18] != " " and line[17] == " " for line in lines), "values stand in column 18"
    return {key: float(value) for key, value in (line.split(": ") for line in lines)}


def turned(**knobs: float | str) -> float:
    return true_value(edited(**knobs))


# -- the repository


def test_the_project_is_a_clean_repository_with_one_commit(project):
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=project, check=True, capture_output=True, text=True).stdout

    assert git("rev-list", "--count", "HEAD").strip() == "1"
    assert git("branch", "--show-current").strip() == "main"
    tracked = set(git("ls-files").split())
    assert {"train.py", "prepare.py", "problem.json", "program.md", "swarm.toml"} <= tracked
    found = load_project(project)
    assert set(found.editable) | set(found.fixed) <= tracked
    assert (found.budget, found.sigma["sim"], found.metric, found.referee) == (1.0, 0.0006, "val_bpb", ())


def test_it_needs_no_git_identity_and_ignores_the_users_git(tmp_path, monkeypatch):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (tmp_path / ".gitconfig").write_text(
        f"[core]\nhooksPath = {hooks}\n[commit]\ngpgsign = true\n[user]\nuseConfigOnly = true\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    assert (make_project(tmp_path / "project") / ".git" / "HEAD").is_file()
    assert not (tmp_path / "elsewhere").exists()


def test_options_reach_the_settings_and_the_noise(tmp_path):
    folder = make_project(tmp_path / "project", budget=0.25, sigma=0.0012)
    found = load_project(folder)
    assert (found.budget, found.sigma["sim"]) == (0.25, 0.0012)
    assert json.loads((folder / "problem.json").read_text())["sigma"] == 0.0012


def test_a_folder_in_use_and_an_unknown_fault_are_refused(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        make_project(tmp_path)
    with pytest.raises(UsageError, match="crash, oom, nan, hang"):
        make_project(tmp_path / "new", fault="gremlin")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_command_line(tmp_path):
    def command(*arguments: str):
        argv = [sys.executable, "-m", "swarm.lab.simulation.project", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=600)

    made = command(str(tmp_path / "project"))
    assert made.returncode == 0
    assert (tmp_path / "project" / "train.py").is_file()
    assert command(str(tmp_path / "project")).returncode == 2
    assert command().returncode == 2


# -- one run


def test_a_run_prints_the_summary_block(project):
    printed = block(train(project))
    assert list(printed) == [*BLOCK, "visible_gpu"]
    assert printed["val_bpb"] == pytest.approx(true_value(UNTOUCHED), abs=6 * 0.0006)
    assert printed["depth"] == 8


def test_a_run_takes_its_budget(project):
    printed = block(train(project, TIME_BUDGET=0.4))
    assert 0.4 <= printed["training_seconds"] <= 2.0


def test_heartbeats_tell_the_way_down(project, tmp_path):
    run = train(project, SWARM_RUN_DIR=tmp_path)
    beats = [json.loads(line) for line in (tmp_path / "heartbeat.jsonl").read_text().splitlines()]
    assert all(set(beat) == {"step", "loss", "tokens", "seconds"} for beat in beats)
    assert [beat["step"] for beat in beats] == list(range(1, int(block(run)["num_steps"]) + 1))
    assert beats[0]["loss"] > beats[5]["loss"] > beats[-1]["loss"]


def test_noise_repeats_with_the_seed_and_has_the_promised_size(project):
    values = [block(train(project, SWARM_SEED=seed))["val_bpb"] for seed in range(16)]
    assert block(train(project, SWARM_SEED=3))["val_bpb"] == values[3]
    assert len(set(values)) > 12
    assert 0.0003 < stdev(values) < 0.0010
    assert fmean(values) == pytest.approx(true_value(UNTOUCHED), abs=4 * 0.0006 / math.sqrt(16))
    quiet = [block(train(project, SWARM_SEED=seed, SYNTHETIC_SIGMA="1e-9"))["val_bpb"] for seed in range(3)]
    assert quiet == [pytest.approx(true_value(UNTOUCHED), abs=1e-6)] * 3


def test_each_gpu_has_an_offset_of_its_own(tmp_path):
    folder = make_project(tmp_path / "project", offset=100)
    values = [
        block(train(folder, CUDA_VISIBLE_DEVICES=gpu, SWARM_SEED=seed))["val_bpb"] for gpu in "01" for seed in "12"
    ]
    assert values[0] == pytest.approx(values[1], abs=6 * 0.0006)
    assert values[2] == pytest.approx(values[3], abs=6 * 0.0006)
    assert abs(values[0] - values[2]) > 10 * 0.0006
    assert block(train(folder))["val_bpb"] == pytest.approx(true_value(UNTOUCHED), abs=6 * 0.0006)


def test_an_edit_that_changes_nothing_measures_the_same(project):
    """A comment is no experiment: same knobs, same seed, same loss trace."""
    plain = block(train(project))["val_bpb"]
    assert block(train(project, "# nothing new\n" + UNTOUCHED))["val_bpb"] == plain
    assert block(train(project, edited(SCALAR_LR=0.7)))["val_bpb"] != plain, "another null edit draws its own noise"


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"DEVICE_BATCH_SIZE": 256}, "CUDA out of memory"),
        ({"MATRIX_LR": 1.0}, "FAIL"),
        ({"TOTAL_BATCH_SIZE": 2**17}, "AssertionError"),
        ({"DEPTH": 0}, "ValueError"),
    ],
)
def test_wrong_knobs_fail_as_they_would_in_earnest(project, knobs, says):
    run = train(project, edited(**knobs))
    assert run.returncode == 1
    assert says in run.stdout + run.stderr
    assert "---" not in run.stdout


@pytest.mark.parametrize(
    ("fault", "says"), [("crash", "RuntimeError"), ("oom", "CUDA out of memory"), ("nan", "loss: nan")]
)
def test_a_broken_project_fails_in_every_run(tmp_path, fault, says):
    run = train(make_project(tmp_path / "project", fault=fault))
    assert run.returncode == 1
    assert says in run.stdout + run.stderr


def test_a_hanging_run_stops_beating(project, tmp_path):
    beats = tmp_path / "heartbeat.jsonl"
    (project / "edited.py").write_text(UNTOUCHED)
    env = {"TIME_BUDGET": "0.02", "SYNTHETIC_FAULT": "hang", "SWARM_RUN_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "edited.py"], cwd=project, env=env, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None and not (beats.exists() and beats.read_text()):
            time.sleep(0.05)
        time.sleep(1.0)  # fifty times as long as it would train
        hangs = run.poll() is None
        run.kill()
    assert hangs and 0 < len(beats.read_text().splitlines()) < 40


# -- the truth


def test_the_truth_leaves_gains_to_find_and_they_end():
    untouched, best = true_value(UNTOUCHED), turned(**ANSWER)
    assert untouched - best == pytest.approx(0.0127, abs=0.0005)
    for name, value in ANSWER.items():
        assert turned(**{**ANSWER, name: value * 1.5}) > best


def test_each_part_of_the_answer_helps_alone_but_one_waits_for_another():
    untouched = true_value(UNTOUCHED)
    for name, value in ANSWER.items():
        if name != "MATRIX_LR":
            assert turned(**{name: value}) < untouched - 0.0006
    assert turned(MATRIX_LR=0.03) > untouched, "the best rate belongs to the smaller batch"
    halved = {"TOTAL_BATCH_SIZE": 2**18}
    assert turned(**halved, MATRIX_LR=0.03) < turned(**halved) - 0.0006


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("EMBEDDING_LR", (0.15, 0.3, 0.6, 0.9)),
        ("DEPTH", (4, 6, 8, 10)),
        ("WARMDOWN_RATIO", (0.1, 0.3, 0.5, 0.7)),
        ("WARMUP_RATIO", (0.4, 0.2, 0.1, 0.0)),
        ("UNEMBEDDING_LR", (0.032, 0.016, 0.008, 0.004)),
        ("WINDOW_PATTERN", ("LLLL", "LLSL", "SLSL", "SSSL")),
    ],
)
def test_the_truth_falls_towards_each_best_value(name, values):
    reached = [turned(**{name: value}) for value in values]
    assert reached == sorted(reached, reverse=True)
    assert len(set(reached)) == len(reached)


def test_some_knobs_do_not_matter():
    for change in ({"SCALAR_LR": 2.0}, {"HEAD_DIM": 64}, {"DEVICE_BATCH_SIZE": 64}):
        assert turned(**change) == true_value(UNTOUCHED)


def test_gains_of_a_knob_diminish():
    steps = [turned(EMBEDDING_LR=0.9 * 2**-doublings) for doublings in (3, 2, 1, 0)]
    gains = [before - after for before, after in pairwise(steps)]
    assert gains == sorted(gains, reverse=True)
