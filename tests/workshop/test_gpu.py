"""What a host computes on; without a GPU here, the choosing is tested on made-up ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from swarm.workshop import gpu
from swarm.workshop.gpu import Gpu

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
    script = "import sys; from swarm.workshop import gpu; gpu.device_kind(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
