"""64 agents at once on one Ray cluster: whether board and leaderboard bear them.

make test-scale     # prints how long they take; two cores need six minutes, and 64 agents 8 GB of memory
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import pytest
from rich.console import Console

from swarm.coordinator.cluster_gpus import cluster_slots
from swarm.coordinator.head import Swarm
from swarm.errors import Unavailable
from swarm.lab.simulation.project import make_project
from swarm.launch.plan import make_plan
from swarm.ledger.home import open_ledger
from swarm.project.settings import Config
from swarm.snapshot.read import read_snapshot
from swarm.snapshot.records import Snapshot
from swarm.views.leaderboard import render

NODES, GPUS = 4, 16
AGENTS = NODES * GPUS
BUDGET = 60.0  # seconds of a run, which sleeps: a fifth of a real one
WINDOW = 120.0  # seconds that are measured, once all are at work
PROBE = 0.25  # seconds between two looks, as of a leaderboard

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A head without GPUs, and NODES hosts with simulated ones, each a raylet of its own on this machine."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    common = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={"num_gpus": 0, "include_dashboard": False, **common})
    for _ in range(NODES):
        cluster.add_node(num_gpus=GPUS, **common)
    yield cluster.address
    cluster.shutdown()


@dataclass
class Onlooker:
    """Somebody with a leaderboard, who asks the board now and then; notes in seconds how long both take."""

    swarm: Swarm
    root: Path
    answers: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)  # the processor's part of each frame, whatever else it has to do

    def __post_init__(self) -> None:
        self.ledger = open_ledger(self.root)

    def close(self) -> None:
        self.ledger.close()

    def read(self) -> Snapshot:
        return read_snapshot(self.root, self.ledger, self.swarm.tag)

    def at_work(self) -> set[str]:
        return {run.agent for run in self.read().runs}

    def look(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(Unavailable):
                self.answers.append(_timed(lambda: self.swarm._ask("briefing", "gpu0")))
            begun = time.thread_time()
            self.frames.append(_timed(self._draw))
            self.work.append(time.thread_time() - begun)
            time.sleep(PROBE)

    def _draw(self) -> None:
        Console(file=io.StringIO(), force_terminal=True, width=160, height=100).print(render(self.read(), 160, 100))


def test_64_agents(address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_project(tmp_path / "project", budget=BUDGET)
    config = Config(tag="apr5", device="sim", researcher="sweep").check()
    begun = time.monotonic()
    swarm = Swarm(make_plan(root, config, find_slots=functools.partial(cluster_slots, address, lambda told: None)))
    came = time.monotonic() - begun
    swarm.start()
    supervisor = threading.Thread(target=swarm.supervise)
    supervisor.start()
    with contextlib.closing(Onlooker(swarm, root)) as onlooker:
        try:
            while len(onlooker.at_work()) < AGENTS:
                assert supervisor.is_alive() and time.monotonic() - begun < 800, len(onlooker.at_work())
                time.sleep(1)
            all_at_work = time.monotonic() - begun
            onlooker.look(WINDOW)
        finally:
            swarm.stop()
            supervisor.join()
        seen = onlooker.read()
    with capsys.disabled():
        load, lost = os.getloadavg()[0], [event for event in seen.events if event.kind == "lost"]
        print(f"\n{AGENTS} agents on {NODES} nodes: here after {came:.0f} s, all at work after {all_at_work:.0f} s")
        print(f"{os.cpu_count()} cores under a load of {load:.0f}: {len(lost)} of {AGENTS} leases ran out")
        print(f"the board's answer:  {_told(onlooker.answers)}")
        print(f"a leaderboard frame: {_told(onlooker.frames)}; without waiting for a core: {_told(onlooker.work)}")
    assert len(seen.agents) == len({run.agent for run in seen.runs}) == AGENTS
    measured = [run.id for run in seen.runs if run.state == "measured"]
    assert len(measured) == len(set(measured)) >= AGENTS
    assert not [run for run in seen.runs if run.state == "running"], "nothing is left behind"


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _told(seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=100)
    return f"p50 {1e3 * cuts[49]:.0f} ms, p99 {1e3 * cuts[98]:.0f} ms, of {len(seconds)}"
