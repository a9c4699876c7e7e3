"""A Ray that starts is waited for while it makes progress: seen on real processes, whose clock the test turns."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm.coordinator import own_ray
from swarm.coordinator.own_ray import LONGEST, STILL, _Lost, _Wait

WRITER = """
import sys, time
while True:
    open(sys.argv[1], "a").write("x" * 100)
    time.sleep(0.05)
"""
WORKER = "while True: pass"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def wait(tmp_path: Path, clock: Clock, said: list[str]) -> _Wait:
    begun = _Wait(said.append, lambda folder: None, clock)
    begun.begin(str(tmp_path))
    return begun


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    begun: list[subprocess.Popen] = []

    def start(*command: str) -> subprocess.Popen:
        begun.append(subprocess.Popen(command))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_whose_logs_grow_is_waited_for(tmp_path, wait, clock, said, start):
    log = tmp_path / "raylet.out"
    start(sys.executable, "-S", "-c", WRITER, str(log))
    for _ in range(8):
        before = log.stat().st_size if log.exists() else 0
        until(lambda before=before: log.exists() and log.stat().st_size > before)
        clock.now += 0.9 * STILL
        wait.look("node")
    wait.tell()
    assert f"{round(8 * 0.9 * STILL)} s by now; its node is waited for, 1 processes run" in said[-1]
    assert str(tmp_path) in said[-1]


def test_a_line_says_every_so_often_what_is_waited_for(wait, said, monkeypatch):
    monkeypatch.setattr(own_ray, "TELL", 0.05)
    with own_ray._telling(wait):
        until(lambda: len(said) >= 3)
    assert all("its first process is waited for" in line for line in said)


def test_one_that_only_computes_is_waited_for(wait, clock, start, monkeypatch):
    monkeypatch.setattr(own_ray, "WORK", 0.2)
    process = start(sys.executable, "-S", "-c", WORKER)
    for _ in range(4):
        used = own_ray._cpu(own_ray.psutil.Process(process.pid))
        until(lambda used=used: own_ray._cpu(own_ray.psutil.Process(process.pid)) > used + 0.4)
        clock.now += 0.9 * STILL
        wait.look("node")


def test_one_that_stands_still_is_given_up_and_not_started_again(wait, clock, start):
    start("sleep", "600")
    wait.look("node")
    clock.now += 0.9 * STILL
    wait.look("node")
    clock.now += 0.2 * STILL
    with pytest.raises(_Lost, match=r"nothing moved for .* s while its node was waited for"):
        wait.look("node")
    assert wait.hopeless


def test_one_whose_vital_process_ends_is_given_up_at_once_and_started_again(tmp_path, wait, start):
    (tmp_path / "raylet").symlink_to("/bin/sleep")
    process = start(str(tmp_path / "raylet"), "600")
    until(lambda: any(child.name() == "raylet" for child in own_ray.psutil.Process().children()))
    wait.look("node")
    process.kill()
    with pytest.raises(_Lost, match="its raylet ended"):
        until(lambda: bool(wait.look("node")))
    assert not wait.hopeless


def test_one_that_moves_for_ever_is_given_up_in_the_end(tmp_path, wait, clock):
    for number in range(int(LONGEST / STILL)):
        (tmp_path / f"{number}.out").touch()
        clock.now += 0.99 * STILL
        wait.look("node")
    clock.now = 1.01 * LONGEST
    with pytest.raises(_Lost, match=f"its node did not come within {LONGEST:.0f} s"):
        wait.look("node")


STOPPED = """
import sys, threading, time
import psutil, ray
from swarm.coordinator import own_ray

own_ray.TELL = 5.0

def stop() -> None:
    while True:
        for child in psutil.Process().children(recursive=True):
            try:
                if "dashboard/agent.py" in " ".join(child.cmdline()[:4]):  # not in the raylet's long command
                    child.suspend()
                    time.sleep(40)
                    child.resume()
                    return
            except psutil.Error:
                pass
        time.sleep(0.01)

threading.Thread(target=stop, daemon=True).start()
own = own_ray.start({"num_cpus": 1, "num_gpus": 0}, print, lambda folder: None)
print(len(own.vital), ray.get(ray.remote(lambda: "it works").remote()))
ray.shutdown()
own_ray.end()
"""


@pytest.mark.slow
def test_a_ray_whose_agent_is_later_than_rays_own_patience_starts(tmp_path: Path):
    """Ray itself gives up after 30 seconds: its raylet on its agents, and `ray.init` on the raylet."""
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=3000, check=False)
    assert done.stdout.endswith("2 it works\n"), done.stdout + done.stderr
    assert "is waited for" in done.stdout and "started again" not in done.stdout
