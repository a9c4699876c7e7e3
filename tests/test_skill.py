"""The skill for coding agents: found by its words, and every command it gives does what it says on a real night."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from swarm import cli
from swarm.lab.simulation.project import make_project
from swarm.project.project import load_project
from tests.verbs import called

SKILL = (Path(__file__).parents[1] / ".agents" / "skills" / "autoresearch" / "SKILL.md").read_text()
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", SKILL, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]  # fmt: skip
SMALL = ["--device", "sim", "--agents", "1", "--tag", "apr5", "--max-experiments", "200", "--researcher", "sweep"]
PATIENCE = 500.0  # seconds, on a machine that is slow
Run = Callable[[str], tuple[int, str]]


def test_it_is_found_by_its_words() -> None:
    front = SKILL.split("---")[1]
    assert re.search(r"^name: autoresearch$", front, re.MULTILINE)
    description = re.findall(r"^description: (.+)$", front, re.MULTILINE)[0]
    assert len(description) <= 1024 and len(SKILL.splitlines()) < 500
    words = ("autoresearch", "autonomous research", "overnight experiments", "ml experiments loop", "auto optimization")
    assert not [word for word in (*words, "自主研究", "自动实验") if word not in description]


def test_its_project_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "swarm.toml").write_text(re.findall(r"^```toml\n(.*?)^```", SKILL, re.MULTILINE | re.DOTALL)[0])
    assert load_project(tmp_path).editable == ("train.py",)


def test_every_verb_it_uses_can_answer_in_json() -> None:
    assert all(line.startswith("python -m swarm ") for line in LINES)
    for verb in {shlex.split(line)[3] for line in LINES}:
        assert cli.parser().parse_args([verb, "--json", *(["x"] if verb in ("show", "tell") else [])]).json


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = make_project(tmp_path / "project", budget=2.0)  # runs that sleep: they go on while the commands are tried
    yield root
    called("stop", "-C", str(root), "--now")


@pytest.fixture
def run(root: Path, on_shared_ray: Mapping[str, str]) -> Run:
    """Runs a line of the skill, on a machine without GPUs: its exit code and what it prints."""

    def run(line: str) -> tuple[int, str]:
        verb, *rest = shlex.split(line)[3:]
        words = [verb, "-C", str(root), *rest]
        if verb == "launch":
            command = [sys.executable, "-m", "swarm", *words, *SMALL]
            done = subprocess.run(command, env=on_shared_ray, capture_output=True, text=True, check=False)
        else:
            done = called(*words)
        assert done.returncode == 0 or done.stderr.count("\n") == 1, done.stderr
        return done.returncode, done.stdout

    return run


def wait_for_a_verdict(run: Run) -> None:
    until = time.monotonic() + PATIENCE
    while not json.loads(run("python -m swarm status --json")[1])["experiments"]:
        assert time.monotonic() < until
        time.sleep(0.3)


@pytest.mark.long
def test_its_commands_lead_through_a_night(run: Run) -> None:
    said: dict[str, str] = {}
    for line in LINES:
        code, out = run(line)
        nothing_kept = code == 2 and "champion" in line
        assert code == 0 or nothing_kept or (code == 1 and "doctor" in line), line
        if "--json" in line and not nothing_kept:
            said[line.split()[3]] = json.loads(out)
        if "--detach" in line:
            wait_for_a_verdict(run)
    assert said["doctor"] and all({"name", "ok", "told", "remedy"} <= set(check) for check in said["doctor"])
    assert said["launch"]["tag"] == "apr5"
    assert said["stop"]["status"] == said["status"]["status"] == "stopped"
    assert said["status"]["notes"][0]["text"] == "try smaller batches"
    named = re.findall(r"`([a-z_]+)`", SKILL.split("## 3. Watch")[1].split("## 4.")[0])
    assert {name for name in named if "_" in name} <= set(said["status"])
    assert Path(said["report"]["report"]).exists() and said["report"]["headline"]
