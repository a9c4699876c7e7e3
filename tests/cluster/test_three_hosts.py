"""The on-prem file brought up by the real `ray up` on three hosts of one machine, with a swarm over all of them.

python -m pytest -m cluster tests/cluster
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.hosts import Host, hosts, lacking

ROOT = Path(__file__).parents[2]
FILE = "examples/cluster-onprem.yaml"
HERE = "RAY_UP_enable_autoscaler_v2=0 RAY_AUTH_MODE=token ~/venv/ray"  # on the machine of whoever types

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(lacking()), reason=lacking()),
]


@dataclass
class Site:
    """A laptop, and three hosts with a cluster on them; the head holds the project."""

    laptop: Host
    head: Host
    workers: list[Host]

    def ray(self, verb: str, *arguments: str) -> str:
        done = self.laptop.run(f"cd repo && {HERE} {verb} {' '.join(arguments)}", timeout=400)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def swarm(self, words: str) -> str:
        """A verb of the swarm, typed on the laptop and run on the head, as the file's first lines say it."""
        return self.ray("exec", "--no-config-cache", FILE, f"'cd project && python -m swarm {words}'")

    def status(self) -> dict[str, Any]:
        done = self.head.run("cd project && ~/autoresearch-swarm/.venv/bin/python -m swarm status --json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
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
    made = site.head.run("venv/python -m swarm.simulation.project project")
    assert made.returncode == 0, made.stderr


def eventually(true: Callable[[], bool], seconds: float, what: str) -> float:
    """Waits until it is true; gives how long that took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, what
        time.sleep(1.0)
    return time.monotonic() - start


def rays(host: Host) -> list[str]:
    return [line for line in host.processes() if "raylet" in line or "ray::" in line or "swarm" in line]


def test_a_night_on_three_hosts_with_one_cut_off_and_another_killed(site: Site):
    site.ray("up", "-y", "--no-config-cache", FILE)
    told = site.swarm("launch --device sim --gpus 6 --wait 3m --tag apr5 --max-experiments 60 --detach")
    assert "6 of 6 GPUs" in told, told
    one, two = site.workers
    eventually(lambda: _baselines(site) == 6, 180, "all six agents have measured the untouched code")
    logs = site.head.home / "project/.swarm/apr5"
    eventually(lambda: len({log.parent for log in logs.glob("gpu*/logs/*.log")}) == 6, 30, "all logs are on the head")

    one.cut()
    before = len(site.status()["runs"])
    two.run("pkill -KILL raylet")
    eventually(lambda: len(site.status()["runs"]) > before + 10, 120, "the work goes on on the head alone")
    one.mend()
    two.run("bash -lc '. ~/.bashrc; ray start --address=" + site.head.address + ":6379 --num-gpus=2'", timeout=60)
    eventually(lambda: site.status()["status"] == "finished", 300, "the night ends")

    seen = site.status()
    assert seen["experiments"] == 60
    _nothing_is_lost_or_twice(site.head.home / "project/.swarm/ledger.sqlite")
    branches = site.head.run("cd project && git branch --list 'autoresearch/*' --format='%(refname:short)'").stdout
    assert set(branches.split()) == {"autoresearch/apr5", *(f"autoresearch/apr5-gpu{k}" for k in range(6))}
    refs = site.head.run("cd project && git for-each-ref refs/experiments --format='%(refname)'").stdout.split()
    assert len(refs) == 60 + 6  # each agent has its baseline

    site.ray("down", "-y", FILE)
    for host in (site.head, *site.workers):
        eventually(lambda host=host: not rays(host), 120, f"nothing is left on {host.name}: {rays(host)}")


def _baselines(site: Site) -> int:
    return sum(seen["baseline"] and seen["status"] == "keep" for seen in site.status()["experiment_list"])


def _nothing_is_lost_or_twice(path: Path) -> None:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as ledger:
        states = dict(ledger.execute("SELECT state, count(*) FROM experiments WHERE baseline = 0 GROUP BY state"))
        assert states.get("judged") == 60 and not states.get("testing"), states
        assert ledger.execute("SELECT count(*) FROM runs WHERE state = 'running'").fetchone() == (0,)
        twice = "SELECT id FROM runs WHERE state IN ('measured', 'crashed') GROUP BY id HAVING count(*) > 1"
        assert ledger.execute(twice).fetchall() == []
