"""The kernels compile for GPUs that are not here, into the instructions that make them fast.

python -m pytest tests/trainer/kernels/test_compiled.py
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# The shared memory that one block may have, by compute capability.
SHARED = {80: 163 << 10, 86: 99 << 10, 89: 99 << 10, 90: 227 << 10, 100: 227 << 10, 120: 99 << 10}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which has no wheel for this platform"
)


@pytest.mark.parametrize(
    ("capability", "shapes"),
    [(90, "one"), *(pytest.param(known, "all", marks=pytest.mark.slow) for known in SHARED)],
)
@pytest.mark.long
def test_what_the_compiler_makes_of_the_kernels(capability: int, shapes: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(tmp_path)}
    script = Path(__file__).with_name("compiled.py")
    command = [sys.executable, str(script), str(capability), shapes]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    found = defaultdict(list)
    for line in result.stdout.splitlines():
        found[json.loads(line)["kernel"]].append(json.loads(line))
    assert len(found) == 10
    for kernel, ways in found.items():
        for way in ways:
            assert way["spilled"] <= 256, way
            if kernel == "cross_entropy":
                assert way["whole_stores"] == way["stores"] - 1, way  # and the loss
                continue
            if kernel.startswith("row_update"):
                assert way["shared"] <= SHARED[capability], way
                continue
            assert way["tensor_cores"], way
            assert bool(way["warp_groups"]) is (capability == 90), way
            if kernel.startswith("linear_relu2_tma"):
                whole = capability >= 90  # before, tiles cannot move as a whole, and the kernel's probe refuses
                assert bool(way["whole_tiles_in"]) is bool(way["whole_tiles_out"]) is whole, way
                assert bool(way["stores"]) is not whole, way
                continue
            assert way["copies"], way
            assert way["whole_stores"] == way["stores"], way
        if kernel.startswith("row_update") or (kernel.startswith("linear_relu2_tma") and capability < 90):
            continue
        fitting = [way for way in ways if way["shared"] <= SHARED[capability] and not way["spilled"]]
        assert fitting, f"{kernel}: no shape of tiles fits without spilling"
