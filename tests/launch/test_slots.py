"""Which agents a machine can seat, and what is said where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.execution.machine import gpu
from swarm.execution.machine.gpu import Gpu
from swarm.execution.sandbox import gpu_nodes
from swarm.launch.slots import local_slots, local_slots_on
from swarm.project.settings import Config

H200 = [Gpu(index, f"GPU-{index}", "NVIDIA H200", 141.0, 0.5) for index in range(4)]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Gpu]:
    """A machine with four GPUs, which this one is not; the list may be changed."""
    seen = list(H200)
    monkeypatch.setattr(gpu, "gpus", lambda: seen)
    monkeypatch.setattr(gpu, "_cores", lambda: list(range(16)))
    return seen


def refused(config: Config, kind: str, *words: str) -> None:
    with pytest.raises(UsageError) as error:
        local_slots_on(config, kind)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_every_gpu_gets_an_agent_with_its_share_of_the_cores(seen: list[Gpu]) -> None:
    assignment = local_slots_on(Config(), "cuda")
    slots = assignment.slots
    assert assignment.device == "cuda: NVIDIA H200" and list(slots) == ["gpu0", "gpu1", "gpu2", "gpu3"]
    cores = [core for slot in slots.values() for core in slot.cores]
    assert sorted(cores) == list(range(16))
    assert [(slot.gpu, slot.lock, slot.threads) for slot in slots.values()] == [
        (f"GPU-{index}", f"GPU-{index}", 4) for index in range(4)
    ]


@pytest.mark.parametrize(
    ("config", "agents"),
    [
        (Config(gpus="2"), ["gpu0", "gpu1"]),
        (Config(gpus="1,3"), ["gpu1", "gpu3"]),
        (Config(gpus="3,3,0"), ["gpu0", "gpu3"]),
        (Config(agents=3), ["gpu0", "gpu1", "gpu2"]),
        (Config(agents=9), ["gpu0", "gpu1", "gpu2", "gpu3"]),
    ],
)
def test_so_many_gpus_or_these(seen: list[Gpu], config: Config, agents: list[str]) -> None:
    assert list(local_slots_on(config, "cuda").slots) == agents


def test_more_gpus_than_there_are_says_what_there_is_and_who_holds_it(seen: list[Gpu]) -> None:
    seen[1] = Gpu(1, "GPU-1", "NVIDIA H200", 141.0, 90.0, holders=((77, "python"),))
    refused(Config(gpus="8"), "cuda", "--gpus 8", "shows 4", "gpu 1 NVIDIA H200", "python (pid 77)", "--gpus 4")
    refused(Config(gpus="0,9"), "cuda", "--gpus 0,9", "not all of these")
    refused(Config(gpus="0"), "cuda", "--gpus 0", "--gpus 4")
    refused(Config(gpus="0,1"), "cuda", "in use", "90 of 141 GB used by python (pid 77)", "leave them out")
    assert list(local_slots_on(Config(gpus="0,2"), "cuda").slots) == ["gpu0", "gpu2"]


def test_gpus_of_two_kinds_are_not_compared(seen: list[Gpu]) -> None:
    seen[3] = Gpu(3, "GPU-3", "NVIDIA A100", 80.0, 0.0)
    refused(Config(), "cuda", "NVIDIA A100 and NVIDIA H200", "--gpus")
    assert local_slots_on(Config(gpus="3,3"), "cuda").device == "cuda: NVIDIA A100"


def test_a_machine_without_gpus_says_what_to_type_instead(seen: list[Gpu]) -> None:
    seen.clear()
    refused(Config(gpus="8"), "cuda", "--gpus 8", "no NVIDIA GPU", "--device cpu --agents 2")
    refused(Config(gpus="1,2"), "cpu", "--gpus 1,2", "no NVIDIA GPU", "--device cpu --agents 2")
    refused(Config(device="cuda"), "cuda", "--device cuda", "no NVIDIA GPU")
    refused(Config(device="sim", gpus="1,2"), "sim", "--gpus 1,2")


def test_parts_of_gpus_are_refused_not_passed_over(seen: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    seen.clear()
    monkeypatch.setattr(gpu, "driver", lambda: object())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-0d3b,MIG-77aa")
    for config in (Config(), Config(gpus="2"), Config(device="cuda")):
        with pytest.raises(UsageError, match=r"MIG instances, and only whole GPUs are supported.*--device cpu"):
            local_slots(config)
    assert local_slots(Config(device="cpu", agents=1)).device.startswith("cpu: ")


def test_one_agent_per_core(seen: list[Gpu]) -> None:
    slots = local_slots_on(Config(agents=3), "cpu").slots
    assert len(slots) == 3 and all(slot.threads == 1 and slot.gpu is None for slot in slots.values())
    assert len({core for slot in slots.values() for core in slot.cores}) == 16
    assert len(local_slots_on(Config(), "cpu").slots) == 16
    refused(Config(agents=17), "cpu", "--agents 17", "16 cores")


def test_a_mac_has_one_agent(seen: list[Gpu], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert list(local_slots_on(Config(), "mps").slots) == ["gpu0"]
    refused(Config(agents=2), "mps", "--agents 2", "one GPU")


def test_simulated_gpus_are_as_many_as_wanted_and_all_different(seen: list[Gpu]) -> None:
    for config in (Config(agents=40), Config(gpus="40")):
        slots = local_slots_on(config, "sim").slots
        assert [slot.gpu for slot in slots.values()] == [str(index) for index in range(40)]


@pytest.mark.parametrize(("nodes", "visible"), [(["null"], None), (["nvidiactl"], "")], ids=["no driver", "a driver"])
def test_agents_on_a_cpu_see_no_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nodes: list[str], visible: str | None
) -> None:
    """Without NVIDIA's driver the variable says nothing of its GPUs, and other makers' would heed it."""
    for name in nodes:
        (tmp_path / name).touch()
    monkeypatch.setattr(gpu_nodes, "DEVICES", tmp_path)
    slots = local_slots_on(Config(agents=1), "cpu").slots
    assert [slot.gpu for slot in slots.values()] == [visible]
    assert slots["gpu0"].environment({}).get("CUDA_VISIBLE_DEVICES") == visible
