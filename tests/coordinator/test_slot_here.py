"""An agent that a cluster placed somewhere: it works there only if its results can be compared."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import io
import os
import platform
import tarfile
from pathlib import Path

import pytest

from swarm.agent.loop import Agent
from swarm.coordinator.actors import AgentActor, AgentSpec, open_runner, slot_here, working_folder
from swarm.errors import MachineFault, SwarmError
from swarm.execution.machine import gpu
from swarm.execution.slot import Slot
from swarm.lab.simulation.project import make_project
from swarm.project.project import load_project


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentSpec:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    root = make_project(tmp_path / "project")
    return AgentSpec(
        agent="gpu5", project=load_project(root), slot=None, device=f"sim: {gpu.device_name('sim')}", data="",
        accelerator="",
        root=str(root), folder=str(root / ".swarm/apr5/gpu5"), researcher="sweep", seed=0, sandbox="off",
        options={}, secrets={}, think_limit=1.0, environment={},
    )  # fmt: skip


def test_it_takes_the_gpu_that_ray_gave_it(spec: AgentSpec):
    slot = slot_here(spec, Path(spec.root))
    assert (slot.device, slot.index, slot.gpu) == ("sim", 1, "1")


def test_another_model_is_turned_away(spec: AgentSpec):
    with pytest.raises(MachineFault, match="and this swarm's results are of H200"):
        slot_here(dataclasses.replace(spec, device="sim: H200"), Path(spec.root))


def test_a_gpu_without_room_for_the_referee_is_turned_away_with_the_remedy(spec: AgentSpec, monkeypatch):
    card = gpu.Gpu(3, "GPU-x", "NVIDIA H200", 141.0, 0.5, exclusive=True)
    monkeypatch.setattr(gpu, "gpus", lambda: [card])
    monkeypatch.setattr(gpu, "count", lambda: 4)
    monkeypatch.setattr(gpu, "load", lambda uuid: card)
    there = dataclasses.replace(spec, device="cuda: NVIDIA H200", project=dataclasses.replace(spec.project, referee=()))
    assert slot_here(there, Path(spec.root)).lock == "GPU-x"
    refereed = dataclasses.replace(there, project=dataclasses.replace(spec.project, referee=("referee",)))
    with pytest.raises(MachineFault, match=rf"{platform.node()}: gpu 3 lets in one .*nvidia-smi -i 3 -c DEFAULT"):
        slot_here(refereed, Path(spec.root))


@pytest.mark.parametrize(("answer", "reason"), [('{"key": "abc"}', "other data"), ("", "not prepared")])
def test_other_data_or_none_is_turned_away_with_the_remedy(spec: AgentSpec, answer: str, reason: str):
    code = f"print('{answer}')" if answer else "raise SystemExit(2)"
    project = dataclasses.replace(spec.project, data=("{python}", "-c", code), prepare="python prepare.py")
    with pytest.raises(MachineFault, match=rf"{reason}.*run `python prepare.py`"):
        slot_here(dataclasses.replace(spec, project=project, data="xyz"), Path(spec.root))


def test_a_host_without_the_repository_gives_a_place_of_its_own(spec: AgentSpec, tmp_path: Path, monkeypatch):
    assert working_folder(spec) == Path(spec.folder)
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    elsewhere = dataclasses.replace(spec, root="/nowhere", folder="/nowhere/.swarm/apr5/gpu5")
    assert working_folder(elsewhere) == tmp_path / "cache/swarms/nowhere-.swarm-apr5-gpu5"


def test_a_full_disk_is_its_hosts_fault_and_named(spec: AgentSpec, monkeypatch: pytest.MonkeyPatch):
    def full(self: AgentActor) -> Agent:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/cache/tree")

    monkeypatch.setattr(AgentActor, "_make_agent", full)
    monkeypatch.setattr("swarm.coordinator.actors.end_with_parent", lambda: None)
    with pytest.raises(MachineFault) as error:
        asyncio.run(AgentActor(spec, b"", nobody).live())
    assert str(error.value) == f"{platform.node()}: No space left on device (/cache/tree)"


def test_what_was_asked_of_a_host_is_not_its_fault(spec: AgentSpec, monkeypatch: pytest.MonkeyPatch):
    def impossible(self: AgentActor) -> Agent:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "/cache/tree/train.py/x")

    monkeypatch.setattr(AgentActor, "_make_agent", impossible)
    monkeypatch.setattr("swarm.coordinator.actors.end_with_parent", lambda: None)
    with pytest.raises(SwarmError, match="Not a directory") as error:
        asyncio.run(AgentActor(spec, b"", nobody).live())
    assert not isinstance(error.value, MachineFault)


async def nobody(method: str, *arguments: object, **keywords: object) -> None:
    raise AssertionError("the board is not asked")


def test_data_that_was_changed_since_the_launch_is_no_longer_the_swarms(spec: AgentSpec):
    data = Path(spec.root, "data")
    data.mkdir()
    (data / "train.csv").write_text("1,2,3")
    slot = Slot("sim", 0)
    project = dataclasses.replace(spec.project, include=("data",))
    here = dataclasses.replace(spec, slot=slot, project=project, sandbox="off", included="")
    base = io.BytesIO()
    tarfile.open(fileobj=base, mode="w").close()
    key = open_runner(here, base.getvalue())[0].included.key
    assert key
    open_runner(dataclasses.replace(here, included=key), base.getvalue())
    (data / "train.csv").write_text("easy!")
    with pytest.raises(MachineFault, match="was changed since the launch: put it back"):
        open_runner(dataclasses.replace(here, included=key), base.getvalue())
