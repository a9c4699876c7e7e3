"""`init` on real repositories, with and without a real terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swarm.launch.plan import make_plan
from swarm.launch.trial_store import stored_trial
from swarm.project.project import load_project
from swarm.project.settings import Config
from tests.verbs import called

CLEAR = "DEPTH = 3\nprint(f'val_loss: {(DEPTH - 5) ** 2 + 0.25}')\nprint('rows: 40')\n"
UNCLEAR = "DEPTH = 3\nprint(f'fitzroy: {DEPTH * 1.5}')\nprint(f'quux: {DEPTH + 0.25}')\n"


def repository(folder: Path, code: str, others: dict[str, str] | None = None) -> Path:
    folder.mkdir()
    for name, text in {"train.py": code, **(others or {})}.items():
        (folder / name).write_text(text)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false", *arguments]
        subprocess.run(git, cwd=folder, check=True)
    return folder


def command(root: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "swarm", "init", "-C", str(root), *flags]


def init(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return called("init", "-C", str(root), *flags, env={"SWARM_DEVICE": "cpu", "SWARM_AGENTS": "1"})


def in_terminal(root: Path, answers: dict[str, str]) -> tuple[int, str]:
    """The exit code and all that the terminal showed; each answer is typed when its prompt has come."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"SWARM_DEVICE": "cpu", "SWARM_AGENTS": "1", "TERM": "xterm", "COLUMNS": "120"}
        os.execv(sys.executable, command(root))
    shown, waiting, end = "", dict(answers), time.monotonic() + 1000
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 5)[0]:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:  # the child has ended
            break
        if not read:
            break
        shown += read.decode(errors="replace")
        for prompt in [prompt for prompt in waiting if prompt in shown]:
            os.write(terminal, waiting.pop(prompt).encode())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown


def test_what_is_clear_is_not_asked_and_its_run_is_kept_for_the_launch(tmp_path: Path) -> None:
    root = repository(tmp_path / "clear", CLEAR)
    done = init(root)
    assert done.returncode == 0, done.stderr
    assert "val_loss = 4.25" in done.stdout and "wrote swarm.toml" in done.stdout
    project = load_project(root)
    assert (project.metric, project.direction, project.editable) == ("val_loss", "lower", ("train.py",))
    assert "val_loss" in (root / "program.md").read_text()
    trial = stored_trial(make_plan(root, Config(device="cpu", agents=1, researcher="sweep").check()))
    assert trial and trial.value == 4.25
    again = init(root)
    assert again.returncode == 2 and "swarm.toml already" in again.stderr


def test_without_a_terminal_nothing_is_asked_run_or_written(tmp_path: Path) -> None:
    root = repository(tmp_path / "unclear", UNCLEAR)
    done = init(root)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--yes" in done.stderr
    assert sorted(path.name for path in root.iterdir()) == [".git", "train.py"]


def test_yes_takes_the_best_guess_and_says_so(tmp_path: Path) -> None:
    root = repository(
        tmp_path / "guessed", "DEPTH = 3\nprint(f'val_acc: {DEPTH / 4}')\nprint(f'val_f1: {DEPTH / 5}')\n"
    )
    done = init(root, "--yes")
    assert done.returncode == 0, done.stderr
    assert "guessed: metric = val_acc (0.75 in the run; printed by train.py)" in done.stdout
    assert "(guessed: 0.75 in the run; printed by train.py)" in " ".join(
        (root / "swarm.toml").read_text().split("\n# ")
    )
    project = load_project(root)
    assert (project.metric, project.direction) == ("val_acc", "higher")


def test_yes_guesses_nothing_that_nothing_speaks_for(tmp_path: Path) -> None:
    root = repository(tmp_path / "unclear", UNCLEAR)
    done = init(root, "--yes")
    assert done.returncode == 2 and "guessed: metric = fitzroy" in done.stdout
    assert 'nothing can be guessed: say `direction = "lower" or "higher"` in a swarm.toml' in done.stderr
    assert sorted(path.name for path in root.iterdir() if path.name != ".swarm") == [".git", "train.py"]


def test_programs_get_one_object(tmp_path: Path) -> None:
    root = repository(tmp_path / "clear", CLEAR)
    done = init(root, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["project"]["metric"] == {"value": "val_loss", "origin": "printed by train.py"}
    assert told["written"] == ["swarm.toml", "program.md"] and told["run"]["printed"]["val_loss"] == 4.25
    assert "wrote swarm.toml" in done.stderr
    (root / "swarm.toml").unlink()
    unclear = repository(tmp_path / "unclear", UNCLEAR)
    done = init(unclear, "--json")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("code", [CLEAR, UNCLEAR.replace("fitzroy", "val_acc").replace("quux", "val_f1")])
def test_checks_that_fail_on_the_untouched_code_are_told(code: str, tmp_path: Path) -> None:
    """Whether the metric is known before the run or asked after it."""
    root = repository(tmp_path / "checked", code, {"autoresearch.checks.sh": "echo two tests fail\nexit 1\n"})
    done = init(root, "--yes")
    assert done.returncode == 2, done.stdout
    assert "fails the project's checks" in done.stderr and "two tests fail" in done.stderr
    assert "checks" in (root / "swarm.toml").read_text(), "which is where they can be changed"
    assert "next:" not in done.stdout


def test_ctrl_c_ends_the_run_and_writes_nothing(tmp_path: Path) -> None:
    started = tmp_path / "started"
    lines = "import pathlib, time\nDEPTH = 3\npathlib.Path('here').touch()\nprint('up', flush=True)\ntime.sleep(900)\n"
    code = lines + CLEAR
    root = repository(tmp_path / "long", code)
    environ = {**os.environ, "SWARM_DEVICE": "cpu", "SWARM_AGENTS": "1"}
    with started.open("w") as output:
        running = subprocess.Popen(
            command(root), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environ,
            start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + 600
    while not list(root.glob(".swarm/_trial/**/run/**/here")):
        assert running.poll() is None and time.monotonic() < end, started.read_text()
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    assert running.wait(600) == 130, started.read_text()
    assert "the run was ended, and nothing was written" in started.read_text()
    assert sorted(path.name for path in root.iterdir() if path.name != ".swarm") == [".git", "train.py"]
    assert not list(root.glob(".swarm/_trial/**/run/**/here"))


def test_a_person_is_asked_with_what_the_run_printed(tmp_path: Path) -> None:
    root = repository(tmp_path / "asked", UNCLEAR)
    code, shown = in_terminal(root, {"metric [": "quux\n", "direction": "higher\n"})
    assert code == 0, shown
    assert "3.25 in the run" in shown and "4.5 in the run" in shown
    project = load_project(root)
    assert (project.metric, project.direction) == ("quux", "higher")


def test_a_ctrl_d_writes_nothing(tmp_path: Path) -> None:
    root = repository(tmp_path / "left", UNCLEAR)
    code, shown = in_terminal(root, {"metric [": "\x04"})
    assert code == 2 and "nothing was written" in shown
    assert not (root / "swarm.toml").exists() and not (root / "program.md").exists()


@pytest.mark.parametrize(
    ("code", "said"), [("raise SystemExit('no data')", "no data"), ("raise SystemExit(3)", "exit")]
)
def test_a_run_that_gives_nothing_writes_nothing(code: str, said: str, tmp_path: Path) -> None:
    root = repository(tmp_path / "broken", f"DEPTH = 3\n{code}\nprint(f'val_loss: none {{DEPTH}}')\n")
    done = init(root, "--yes")
    assert done.returncode in (1, 2) and said in done.stderr
    assert not (root / "swarm.toml").exists()


def test_a_folder_without_git_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CLEAR)
    done = init(tmp_path)
    assert done.returncode == 2 and "git init" in done.stderr and done.stderr.count("\n") == 1


def test_an_unknown_example_names_those_there_are(tmp_path: Path) -> None:
    done = init(tmp_path, "--example", "visoin")
    assert done.returncode == 2 and "vision" in done.stderr and not list(tmp_path.iterdir())


def test_an_example_becomes_a_repository_of_its_own(tmp_path: Path) -> None:
    done = init(tmp_path, "--example", "prompt")
    assert done.returncode == 0, done.stderr
    log = subprocess.run(["git", "log", "--oneline"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert log.count("\n") == 1 and load_project(tmp_path).metric == "score"
    assert init(tmp_path, "--example", "prompt").returncode == 2
