"""A launch's terminal is left with q: the swarm goes on in a process that no shell waits for. In real terminals."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from swarm.cli.keyboard import keyboard
from swarm.cli.leaving import leavable
from swarm.lab.simulation.project import make_project
from tests.cli.terminal import LONG, Terminal, terminal
from tests.verbs import called

WORKS = (sys.executable, "-m", "tests.cli.test_leaving")


def work(folder: Path) -> int:
    """Stands for a swarm: q leaves it, any other key ends it; it goes on until a file says that it may end."""

    def begin(leave: object) -> int:
        (folder / "pid").write_text(str(os.getpid()))
        signal.signal(signal.SIGINT, lambda *_: (folder / "interrupted").touch())
        signal.signal(signal.SIGTERM, lambda *_: (folder / "end").write_text("7"))
        pressed: list[str] = []
        with keyboard() as keys:
            print("it works", flush=True)
            while keys and not pressed and not (folder / "end").exists():
                pressed = keys(0.1)
        if pressed == ["q"] and callable(leave):
            leave(folder / "launch.log", "come back with watch")
        while not (folder / "end").exists() and pressed in ([], ["q"]):
            time.sleep(0.05)
        print("it ends", flush=True)
        return int((folder / "end").read_text() or 0) if (folder / "end").exists() else 5

    return leavable(begin)


def wait_for(path: Path, text: str = "") -> str:
    until = time.monotonic() + LONG
    while not (path.exists() and path.read_text() and text in path.read_text()):
        assert time.monotonic() < until, f"no {path}"
        time.sleep(0.05)
    return path.read_text()


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text()


@pytest.fixture
def opened(tmp_path: Path):
    with terminal(str(tmp_path), program=WORKS) as screen:
        screen.wait_for("it works")
        yield screen
    (tmp_path / "end").write_text("0")  # whatever happened: nothing of it goes on


def test_who_leaves_gets_the_prompt_back_and_the_work_goes_on(opened: Terminal, tmp_path: Path) -> None:
    opened.press("q")
    opened.wait_for("come back with watch")
    assert opened.end() == 0
    pid = int(wait_for(tmp_path / "pid"))
    assert lives(pid) and pid != opened.process.pid
    opened.press("\x03")  # of the shell's next command
    opened.close()  # and the whole terminal
    assert lives(pid) and not (tmp_path / "interrupted").exists()
    (tmp_path / "end").write_text("0")
    assert "it ends" in wait_for(tmp_path / "launch.log")


def test_who_stays_gets_the_exit_code(opened: Terminal) -> None:
    opened.press("x")
    opened.wait_for("it ends")
    assert opened.end() == 5


def test_signals_reach_the_work(opened: Terminal, tmp_path: Path) -> None:
    opened.press("\x03")
    until = time.monotonic() + LONG
    while not (tmp_path / "interrupted").exists():
        assert time.monotonic() < until and opened.process.poll() is None
        time.sleep(0.05)
    opened.process.send_signal(signal.SIGTERM)
    assert opened.end() == 7


def test_without_a_terminal_there_is_no_other_process_and_nothing_to_leave() -> None:
    seen = []
    assert leavable(lambda leave: seen.append((leave, os.getpid())) or 3) == 3
    assert seen == [(None, os.getpid())]


@pytest.fixture
def root(tmp_path: Path):
    """A project, whose swarm is over afterwards."""
    root = make_project(tmp_path / "project", budget=0.5)
    yield root
    called("stop", "-C", str(root), "--now")


@pytest.mark.long
def test_a_swarm_is_left_and_stopped_from_elsewhere(
    root: Path, ray_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ray_address)
    flags = ("--tag", "apr5", "--device", "sim", "--agents", "1", "--researcher", "sweep")
    with terminal("launch", "-C", str(root), *flags) as screen:
        screen.wait_for("program.md is re-read live")
        screen.press("q")
        screen.wait_for("leave this terminal?")
        screen.press("x")
        screen.wait_for("program.md is re-read live")
        screen.press("q")
        screen.wait_for("leave this terminal?")
        screen.press("q")
        screen.wait_for(f"swarm stop -C {root}"[:20])
        assert screen.end() == 0
    status = json.loads(called("status", "-C", str(root), "--json").stdout)
    assert status["status"] in ("starting", "running")
    assert called("stop", "-C", str(root), "--now").returncode == 0
    wait_for(root / ".swarm" / "apr5" / "launch.log", "has ended")


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
