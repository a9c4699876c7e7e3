"""Launching on a Ray cluster of several hosts, here several raylets on one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.coordinator.cluster import refused
from swarm.coordinator.cluster_gpus import cluster_slots, left_out
from swarm.errors import UsageError
from swarm.lab.simulation.project import make_project
from swarm.launch.slots import FoundGpu, assign_slots
from swarm.project.settings import Config


def test_agents_sit_on_gpus_of_one_model():
    found = [FoundGpu("one", "H200"), FoundGpu("one", "H200"), FoundGpu("two", "A100"), FoundGpu("two", "", "busy")]
    assignment = assign_slots(found, "cuda", wanted=4)
    assert assignment.device == "cuda: H200"
    assert dict(assignment.hosts) == {"one": 2}
    assert list(assignment.slots) == ["gpu0", "gpu1", "gpu2"]  # the A100 would only be turned away


def test_who_is_still_on_the_way_has_a_seat():
    assert len(assign_slots([FoundGpu("one", "H200")], "cuda", wanted=8).slots) == 8


def test_a_cluster_without_a_usable_gpu_is_refused_with_the_reasons():
    with pytest.raises(UsageError, match=r"two: in use by python.*--wait 30m"):
        assign_slots([FoundGpu("two", "", "in use by python")], "cuda", wanted=1)
    with pytest.raises(UsageError, match="none came"):
        assign_slots([], "cuda", wanted=1)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without GPUs; hosts can be added."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def launch(root: Path, address: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "swarm", "launch", "-C", str(root), "--device", "sim", "--tag", "apr5", *flags]
    environment = {**os.environ, "RAY_ADDRESS": address}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def status(root: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "swarm", "status", "-C", str(root), "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_a_swarm_spans_the_hosts_of_a_cluster(cluster: Any, tmp_path: Path):
    for _ in range(2):
        cluster.add_node(num_cpus=1, num_gpus=2)
    root = make_project(tmp_path / "project", budget=0.3)
    done = launch(root, cluster.address, "--max-experiments", "8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 of 4 GPUs" in done.stdout
    seen = status(root)
    assert seen["experiments"] == 8 and seen["agents"] == 4
    assert len({run["agent"] for run in seen["runs"]}) == 4


@pytest.mark.slow
def test_it_starts_with_what_came_in_time(cluster: Any, tmp_path: Path):
    cluster.add_node(num_cpus=1, num_gpus=1)
    root = make_project(tmp_path / "project", budget=0.3)
    done = launch(root, cluster.address, "--gpus", "3", "--wait", "15s", "--max-experiments", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after 15 s: 1 of 3 GPUs" in done.stdout and "`ray status` names who is awaited" in done.stdout
    assert status(root)["experiments"] == 3


def test_a_token_and_versions_that_do_not_fit_are_told_with_the_remedy():
    from ray._private.utils import check_version_info
    from ray.exceptions import AuthenticationError

    for wrong in (
        AuthenticationError("InvalidAuthToken"),
        RuntimeError("Failed to connect to Ray cluster at 10.0.0.7:6"),
    ):
        text = refused(wrong)
        assert "RAY_AUTH_MODE=token" in text and "~/.ray/auth_token" in text and "\n" not in text
    with pytest.raises(RuntimeError) as error:
        check_version_info({"ray_version": "2.1.0", "python_version": "3.9.1"}, "10.0.0.7")
    text = refused(error.value)
    assert "2.1.0" in text and "10.0.0.7" in text and "make setup" in text and "\n" not in text


def test_other_models_are_left_out_with_the_command_that_uses_them():
    came = [
        FoundGpu("one", "H200"),
        FoundGpu("one", "H200"),
        FoundGpu("two", "NVIDIA A100"),
        FoundGpu("two", "", "busy"),
    ]
    assert list(left_out(came, "cuda: H200", "head:6379")) == [
        "1 of NVIDIA A100 left out (two): different GPUs share no ranking, and this swarm's are H200. Once it runs,"
        " they can have a swarm of their own beside it:"
        " test -d ../nvidia-a100 || git clone . ../nvidia-a100 && cd ../nvidia-a100"
        " && python -m swarm launch --gpus 1 --address head:6379"
    ]


def test_those_that_had_not_answered_when_enough_came_are_left_out_too():
    """Nobody can say more of them than Ray does; who is of no use counts for nothing."""
    came = [*2 * [FoundGpu("one", "H200", accelerator="H200")], FoundGpu("two", "", "busy", "A100")]
    free = [*4 * [("H200", "one")], *4 * [("A100", "two")], ("", "three")]
    [line] = left_out(came, "cuda: H200", "head:6379", free)
    assert line.startswith("3 of A100 left out (two)") and "--gpus 3 " in line
    [line] = left_out([*came, FoundGpu("two", "NVIDIA A100", accelerator="A100")], "cuda: H200", "head:6379", free)
    assert line.startswith("3 of NVIDIA A100 left out (two)")


def test_the_command_for_those_left_out_works_a_second_time(tmp_path: Path):
    root = make_project(tmp_path / "project")
    [line] = left_out([FoundGpu("one", "H200"), FoundGpu("two", "A100")], "cuda: H200", "head:6379")
    beside = line.partition("beside it: ")[2].replace("python -m swarm", "echo")
    for _ in range(2):
        done = subprocess.run(beside, shell=True, cwd=root, capture_output=True, text=True, check=True)
        assert done.stdout == "launch --gpus 1 --address head:6379\n"
    assert (tmp_path / "a100" / "train.py").is_file()


def test_of_several_models_that_of_the_resumed_swarm_is_taken():
    came = [FoundGpu("one", "H200", accelerator="H200"), *2 * [FoundGpu("two", "A100", accelerator="A100")]]
    assert assign_slots(came, "cuda", wanted=2, requested=3).device == "cuda: A100"
    assignment = assign_slots(came, "cuda", wanted=2, requested=3, device="cuda: H200")
    assert (assignment.device, list(assignment.slots), assignment.accelerator) == ("cuda: H200", ["gpu0"], "H200")


@pytest.mark.slow
def test_of_a_mixed_cluster_fewer_than_all_are_placed_by_their_model(cluster: Any):
    """Enough of one model come first, and nobody has seen the other yet."""
    for model in ("A100", "H100"):
        cluster.add_node(num_cpus=1, num_gpus=2, labels={"ray.io/accelerator-type": model})
    said: list[str] = []
    assignment = cluster_slots(cluster.address, said.append, Config(device="sim", gpus="1"))
    mine = assignment.device.removeprefix("sim: ")
    assert (len(assignment.slots), assignment.accelerator) == (1, mine)
    [other] = {"A100", "H100"} - {mine}
    assert "1 of 1 GPUs" in said[0] and said[-1].startswith(f"2 of {other} left out"), said
    assert not any("later" in line for line in said)


@pytest.mark.slow
def test_gpus_of_two_models_have_a_swarm_each_at_the_same_time(cluster: Any, tmp_path: Path):
    for model, gpus in (("A100", 1), ("H100", 2)):
        cluster.add_node(num_cpus=1, num_gpus=gpus, labels={"ray.io/accelerator-type": model})
    root = make_project(tmp_path / "project", budget=1.0)
    command = [sys.executable, "-m", "swarm", "launch", "-C", str(root), "--device", "sim", "--tag", "apr5", "--detach"]
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if "1 of A100 left out" in line]
    beside = line.partition("beside it: ")[2].replace("python", sys.executable)
    until = time.monotonic() + 1000
    while len({run["agent"] for run in status(root)["runs"]}) < 2 and time.monotonic() < until:
        time.sleep(1)
    there = subprocess.run(
        f"{beside} --max-experiments 2",
        shell=True,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert there.returncode == 0, there.stdout + there.stderr
    other = status(tmp_path / "a100")
    assert (other["device"], other["agents"], other["experiments"]) == ("sim: A100", 1, 2)
    first = status(root)
    assert (first["device"], first["agents"], first["status"]) == ("sim: H100", 2, "running")
    subprocess.run([sys.executable, "-m", "swarm", "stop", "--now", "-C", str(root)], check=True)
    until = time.monotonic() + 600
    while status(root)["status"] != "stopped" and time.monotonic() < until:
        time.sleep(1)


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path):
    root = make_project(tmp_path / "project")
    done = launch(root, "127.0.0.1:1")
    assert done.returncode == 2
    assert "cannot be joined" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not (root / ".swarm").exists()
