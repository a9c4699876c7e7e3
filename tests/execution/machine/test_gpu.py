"""What a host computes on; without a GPU here, the choosing is tested on made-up ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from swarm.execution.machine import gpu
from swarm.execution.machine.gpu import Gpu

FOUND = [Gpu(index, f"GPU-{uuid}", "NVIDIA H200", 141.0, 1.0) for index, uuid in enumerate(("aa11", "ab22", "bb33"))]


@pytest.mark.parametrize(
    "variable, indices",
    [
        (None, [0, 1, 2]), ("", []), ("-1", []), ("2,0", [2, 0]), (" 1 , 2", [1, 2]), ("0,9,1", [0]), ("0,0", [0]),
        ("GPU-bb33", [2]), ("GPU-b,0", [2, 0]), ("GPU-a", []), ("bb33", []), ("0,,1", [0]),
    ],
)  # fmt: skip
def test_visibility_is_what_cuda_makes_of_it(variable, indices):
    assert [found.index for found in gpu.visible(FOUND, variable)] == indices


class Silent(Exception):
    """The driver's refusal to say something."""


def driver(**answers: object) -> SimpleNamespace:
    """NVML on a host with one GPU, of which it says only this."""

    def says(name: str) -> Callable[[Any], object]:
        def answer(handle: object) -> object:
            if name not in answers:
                raise Silent(name)
            return answers[name]

        return answer

    asked = ("Index", "UUID", "Name", "MemoryInfo", "UtilizationRates", "PowerUsage", "ComputeRunningProcesses")
    return SimpleNamespace(
        **{f"nvmlDeviceGet{name}": says(name) for name in (*asked, "MigMode", "ComputeMode")},
        NVMLError=Silent, NVML_DEVICE_MIG_ENABLE=1, NVML_COMPUTEMODE_DEFAULT=0,
        nvmlDeviceGetCount=lambda: 1, nvmlDeviceGetHandleByIndex=lambda index: index,
    )  # fmt: skip


H200: dict[str, Any] = {"Index": 0, "UUID": "GPU-aa11", "Name": "NVIDIA H200"}


@pytest.mark.parametrize(
    ("answers", "divided", "exclusive"),
    [
        ({}, False, False),
        ({"MigMode": [0, 1], "ComputeMode": 0}, False, False),
        ({"MigMode": [1, 1], "ComputeMode": 0}, True, False),
        ({"MigMode": [0, 0], "ComputeMode": 3}, False, True),
    ],
)
def test_what_a_driver_says_of_a_gpu(monkeypatch, answers, divided, exclusive):
    memory = SimpleNamespace(total=141 * gpu.GIB, used=2 * gpu.GIB)
    said = driver(**H200, **answers, MemoryInfo=memory, UtilizationRates=SimpleNamespace(gpu=50), PowerUsage=300_000)
    monkeypatch.setattr(gpu, "driver", lambda: said)
    assert gpu.load(0) == Gpu(
        0, "GPU-aa11", "NVIDIA H200", 141.0, 2.0, 0.5, 300.0, divided=divided, exclusive=exclusive
    )


def test_what_a_driver_does_not_say_is_not_made_up(monkeypatch):
    monkeypatch.setattr(gpu, "driver", lambda: driver(**H200))
    card = gpu.load(0)
    assert card and (card.load, card.watts, card.holders) == (None, None, ()) and card.memory_gb > 0
    monkeypatch.setattr(gpu, "driver", lambda: driver(Index=0))
    assert gpu.load(0) is None


def test_a_part_of_a_gpu_is_no_gpu_and_no_cpu(monkeypatch):
    monkeypatch.setattr(gpu, "driver", lambda: driver(**H200))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-0d3b")
    assert gpu.gpus() == [] and gpu.names_instances() and gpu.device_kind() == "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu.device_kind() != "cuda" and not gpu.names_instances()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert len(gpu.gpus()) == 1 and not gpu.names_instances()


def test_gpus_that_runs_cannot_share_or_have_whole_are_named_with_the_remedy():
    free, other = FOUND[:2]
    exclusive, divided = replace(other, exclusive=True), replace(FOUND[2], divided=True)
    assert not gpu.unfit([free, other], referee=True) and not gpu.unfit([exclusive], referee=False)
    assert "gpu 1 lets in one process" in gpu.unfit([free, exclusive], referee=True)
    assert "`sudo nvidia-smi -i 0,1 -c DEFAULT`" in gpu.unfit([replace(free, exclusive=True), exclusive], referee=True)
    assert "`sudo nvidia-smi -i 2 -mig 0`" in gpu.unfit([free, divided], referee=False)


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 64])
def test_shares_of_cores_are_disjoint_while_they_can_be(monkeypatch, slots):
    monkeypatch.setattr(gpu, "_cores", lambda: list(range(10, 22)))
    shares = [gpu.cores_for(slot, slots) for slot in range(slots)]
    used = [core for share in shares for core in share]
    assert all(shares) and set(used) <= set(range(10, 22))
    if slots <= 12:
        assert sorted(used) == list(range(10, 22)) and max(map(len, shares)) - min(map(len, shares)) <= 1


def test_this_host_is_something():
    kind = gpu.device_kind()
    assert kind in ("cuda", "mps", "cpu") and gpu.device_name(kind) and gpu.device_name("cpu")
    assert (kind == "cuda") == bool(gpu.gpus())
    assert gpu.load(99) is None and gpu.load("GPU-nobody") is None


def test_nothing_here_needs_torch():
    script = "import sys; from swarm.execution.machine import gpu; gpu.device_kind(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
