"""The on-prem file brought up by the real `ray up` on three hosts of one machine, with a swarm over all of them.

python -m pytest -m cluster tests/cluster
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarm.lab.chaos.invariants import check
from tests.cluster.hosts import Host, hosts, lacking

ROOT = Path(__file__).parents[2]
FILE = "examples/cluster-onprem.yaml"
HERE = "RAY_UP_enable_autoscaler_v2=0 RAY_AUTH_MODE=token ~/venv/ray"  # on the machine of whoever types

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@dataclass
class Site:
    """A laptop, and three hosts with a cluster on them; the head holds the project."""

    laptop: Host
    head: Host
    workers: list[Host]

    def ray(self, verb: str, *arguments: str) -> str:
        start = time.monotonic()
        done = self.laptop.run(f"cd repo && {HERE} {verb} {' '.join(arguments)}", timeout=400)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        print(f"{time.monotonic() - start:4.0f} s  ray {verb}")
        return done.stdout

    def swarm(self, words: str) -> str:
        """A verb of the swarm, typed on the laptop and run on the head, as the file's first lines say it."""
        return self.ray("exec", "--no-config-cache", FILE, f"'cd project && python -m swarm {words}'")

    def here(self, words: str) -> str:
        """The same, typed on the head."""
        done = self.head.run(f". ~/.bashrc; cd project && python -m swarm {words}", timeout=400)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def status(self) -> dict[str, Any]:
        return json.loads(self.here("status --json"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    why = lacking(tmp_path_factory.mktemp("trial"))
    if why:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("hosts")
    with hosts(folder, ["laptop", "head", "one", "two"]) as there:
        site = Site(there["laptop"], there["head"], [there["one"], there["two"]])
        _furnish(site)
        yield site


def _furnish(site: Site) -> None:
    """What the user does: a clone, a token, the file filled in. What takes minutes is linked instead of installed."""
    python = Path(sys.executable)
    for host in (site.laptop, site.head, *site.workers):
        (host.home / "venv").mkdir()
        for name, call in (("ray", "-m ray.scripts.scripts"), ("python", "")):
            tool = host.home / "venv" / name
            tool.write_text(f'#!/bin/sh\nexec {python} {call} "$@"\n')
            tool.chmod(0o755)
    config = yaml.safe_load((ROOT / FILE).read_text())
    config["provider"] |= {"head_ip": site.head.address, "worker_ips": [worker.address for worker in site.workers]}
    config["auth"]["ssh_user"] = "root"
    link = "mkdir -p ~/autoresearch-swarm/.venv && ln -sfn ~/venv ~/autoresearch-swarm/.venv/bin"
    config["setup_commands"] = [link, *(line for line in config["setup_commands"] if "bashrc" in line)]
    for side in ("head_start_ray_commands", "worker_start_ray_commands"):
        config[side] = [
            line.replace("--disable-usage-stats", "--disable-usage-stats --num-gpus=2") for line in config[side]
        ]
    assert site.laptop.run(f"git clone -q file://{ROOT} repo && venv/ray get-auth-token --generate").returncode == 0
    (site.laptop.home / "repo" / FILE).write_text(yaml.safe_dump(config))
    made = site.head.run("venv/python -m swarm.lab.simulation.project project")
    assert made.returncode == 0, made.stderr


def eventually(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until it is true, and prints how long that took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, what
        time.sleep(1.0)
    print(f"{time.monotonic() - start:4.0f} s  {what}")


def rays(host: Host) -> list[str]:
    """What runs there of Ray and the swarm. Two of Ray's processes try for a minute to tell a dead head good-bye."""
    parting = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")
    lines = [line for line in host.processes() if "raylet" in line or "ray::" in line or "swarm" in line]
    return [line for line in lines if not line.startswith(parting)]


def test_a_night_on_three_hosts_with_one_cut_off_and_another_killed(site: Site):
    site.ray("up", "-y", "--no-config-cache", FILE)
    told = site.swarm("launch --device sim --gpus 6 --wait 5m --budget 2 --tag apr5 --detach")
    assert "6 of 6 GPUs" in told, told
    one, two = site.workers
    eventually(lambda: _baselines(site) == 6, 600, "all six agents have measured the untouched code")
    logs = site.head.home / "project/.swarm/apr5"
    eventually(lambda: len({log.parent for log in logs.glob("gpu*/logs/*.log")}) == 6, 300, "all logs are on the head")

    one.cut()
    two.run("pkill -KILL raylet")
    eventually(lambda: _at_work(site) == 2, 600, "both hosts are missed")
    before = len(site.status()["runs"])
    eventually(lambda: len(site.status()["runs"]) > before + 2, 600, "the work goes on on the head alone")
    one.mend()
    eventually(lambda: _at_work(site) == 6, 900, "the head brings both back, and agents take up work there")
    site.here("stop")
    eventually(lambda: site.status()["status"] == "stopped", 600, "what ran is finished")

    seen, broken = site.status(), check(site.head.home / "project", "apr5")
    open_ones = {experiment["id"] for experiment in seen["experiment_list"] if experiment["status"] is None}
    assert set(broken.lost) <= open_ones and set(broken.stuck_claims) <= open_ones, broken
    assert not (broken.counted_twice or broken.duplicates_run), broken
    printed = "not the value that was printed"  # a host that is killed takes the last lines of its logs along
    assert [wrong for wrong in broken.refs_wrong if printed not in wrong] == []

    judged = next(experiment["id"] for experiment in seen["experiment_list"] if experiment["status"] == "discard")
    assert json.loads(site.here(f"confirm {judged} --against baseline --seeds 2 --json"))["n"] == 2

    site.ray("down", "-y", FILE)
    for host in (site.head, *site.workers):
        eventually(lambda host=host: not rays(host), 180, f"nothing is left on {host.name}")


def _baselines(site: Site) -> int:
    return sum(seen["baseline"] and seen["status"] == "keep" for seen in site.status()["experiment_list"])


def _at_work(site: Site) -> int:
    return sum(agent["state"] not in ("starting", "lost") for agent in site.status()["agent_list"])
