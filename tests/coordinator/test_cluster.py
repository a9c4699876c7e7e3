"""An own Ray on this host: one line where it does not come at all, and its death is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swarm.coordinator import own_ray
from swarm.coordinator.cluster import Cluster
from swarm.errors import SwarmError

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


def late(times: int, begun: list[subprocess.Popen]):
    """A `ray.init` that leaves a process of a node behind and gives up, so many times; then one that comes."""

    def init(**_: object) -> None:
        begun.append(subprocess.Popen([*SLEEPER, "--session-dir=/tmp/ray/session_of_a_test"]))
        if len(begun) <= times:
            raise Exception("The current node timed out during startup.\nmore of it")

    return init


def gone(process: subprocess.Popen) -> bool:
    process.wait(60)
    return True


def test_a_ray_that_fails_is_started_again_and_nothing_of_it_stays(monkeypatch):
    begun: list[subprocess.Popen] = []
    mine: list[subprocess.Popen] = []
    said: list[str] = []
    shutdown = lambda: mine.append(subprocess.Popen(SLEEPER))  # noqa: E731  (while Ray starts, a git push begins)
    monkeypatch.setattr("ray.init", late(2, begun))
    monkeypatch.setattr("ray.shutdown", shutdown)
    monkeypatch.setattr("ray.put", lambda base: base)
    Cluster(None, []).start(b"", said.append, said.append)
    assert len(begun) == 3 and all(map(gone, begun[:2]))
    assert all(process.poll() is None for process in (begun[2], *mine)), "only what the failed starts left is ended"
    assert said == ["Ray did not start (The current node timed out during startup.); it is started again"] * 2
    for process in (begun[2], *mine):
        process.kill()
        process.wait()


def test_a_ray_that_never_comes_is_one_line_with_its_logs_and_the_remedy(monkeypatch):
    begun: list[subprocess.Popen] = []
    monkeypatch.setattr("ray.init", late(9, begun))
    with pytest.raises(SwarmError, match=r"Ray does not start on .*: The current node timed out.*logs.*room") as error:
        Cluster(None, []).start(b"", print, print)
    assert "\n" not in str(error.value) and len(begun) == own_ray.STARTS
    assert all(map(gone, begun))


ASKING = """
import time
import psutil, ray
from swarm.coordinator import cluster, own_ray
from swarm.errors import Unavailable

class Slow:
    def call(self, method):
        time.sleep(600)

own = cluster.Cluster(None, ())
own.start(b"x" * 2**20, print, lambda folder: None)
line = cluster.BoardHandle(ray.remote(Slow).options(num_cpus=0).remote())
for process in psutil.Process().children():
    if process.name() in own_ray.VITAL:
        process.kill()
try:
    line.ask("anything", lives=own.lives, patience=3600.0)
except Unavailable as error:
    print(error, own.lives())
own.close()
"""


def test_who_asks_while_ray_dies_is_told_soon(tmp_path: Path):
    """In a process of its own, as Ray ends the one that waits for it when it has died."""
    script = tmp_path / "asking.py"
    script.write_text(ASKING)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=1200, check=False)
    assert done.stdout.endswith("Ray died False\n"), done.stdout + done.stderr
