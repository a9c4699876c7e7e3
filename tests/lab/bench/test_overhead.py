"""What sandbox and referee cost a run, on a project of a few lines with a real guard, sandbox and referee."""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path

import pytest

from swarm.cli import main

FILES = {
    "train.py": """
        import os, pathlib, time
        folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
        (folder / "heartbeat.jsonl").write_text('{"step": 1, "loss": 2.0, "tokens": 1, "seconds": 0.1}')
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        (folder / "model.pt").write_text("1.25")
        """,
    "referee.py": """
        import json, os, pathlib, time
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        folder = pathlib.Path(os.environ["SWARM_RUN_DIR"])
        (folder / "referee.json").write_text(json.dumps({"val_bpb": float((folder / "model.pt").read_text())}))
        """,
    "swarm.toml": """
        command = ["{python}", "train.py"]
        editable = ["train.py"]
        fixed = ["referee.py"]
        metric = "val_bpb"
        referee = ["{python}", "referee.py"]
        """,
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    commit(tmp_path)
    return tmp_path


def commit(root: Path) -> None:
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=root, check=True)


def test_each_part_of_a_run_is_told_in_its_seconds(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--overhead", "--budget", "1", "--json", "-C", str(repository)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["start"] + printed["training"] >= 0.5 and printed["referee"] >= 0.3
    assert printed["referee_share"] == pytest.approx(printed["referee"], abs=1e-3)
    assert printed["share_of_300"] * 300 >= printed["referee"] - 0.02
    assert (printed["sandbox"] is not None) == printed["sandboxed"]
    assert not (repository / ".swarm").exists(), "it measures, and leaves nothing"


def test_without_a_referee_there_is_nothing_to_measure(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = repository / "swarm.toml"
    settings.write_text("\n".join(line for line in settings.read_text().splitlines() if "referee =" not in line))
    commit(repository)
    assert main(["bench", "--overhead", "-C", str(repository)]) == 2
    assert "this project has none" in capsys.readouterr().err
