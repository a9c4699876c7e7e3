"""The cases of test_compiled.py: what Triton's compiler and NVIDIA's assembler make of every kernel. Needs no GPU.

Started with a compute capability, 90 for Hopper, and with how many shapes of tiles: `one` or `all`. Prints a
JSON object a kernel.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import MockTensor

from trainer import train
from trainer.kernels import (
    cross_entropy_triton,
    linear_relu2_tma_triton,
    linear_relu2_triton,
    polar_triton,
    row_update_triton,
)

CUDA = train.PRESETS["cuda"]
WIDTH, HIDDEN, TOKENS = CUDA.width, int(CUDA.mlp_ratio * CUDA.width), CUDA.total_batch_size
VOCABULARY = 8192


@dataclass(frozen=True)
class Absent:
    """What the compiler asks of a driver, for a GPU that is not there."""

    capability: int

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device


def calls(shapes: str) -> Iterator[tuple[str, Any, tuple[Any, ...], dict[str, Any]]]:
    """Name, function, arguments and options of each kernel, at the sizes of the GPU preset."""
    most = {"all": None, "one": 1}[shapes]
    half, bf16 = MockTensor(torch.float16), MockTensor(torch.bfloat16)
    products = {
        "polar, wide": (WIDTH, HIDDEN, HIDDEN * WIDTH, HIDDEN, 1, False),
        "polar, tall": (WIDTH, HIDDEN, HIDDEN * WIDTH, 1, WIDTH, False),
        "polar, polynomial": (WIDTH, WIDTH, WIDTH * WIDTH, WIDTH, 1, True),
    }
    for name, (*sizes, polynomial) in products.items():
        for config in polar_triton._CONFIGS[{"all": slice(None), "one": slice(1, 2)}[shapes]]:
            arguments = (half, half, *sizes, 4.0, -3.0, 2.0)
            yield name, polar_triton._symmetric.fn, arguments, {"POLYNOMIAL": polynomial, **config.all_kwargs()}
    for name, strides in {"forward": (WIDTH, 1, 1, WIDTH), "backward": (WIDTH, 1, HIDDEN, 1)}.items():
        for config in linear_relu2_triton._CONFIGS[:most]:
            arguments = (bf16, bf16, bf16, bf16, TOKENS, HIDDEN, WIDTH, *strides)
            options = {"BACKWARD": name == "backward", **config.all_kwargs()}
            yield f"linear_relu2, {name}", linear_relu2_triton._product.fn, arguments, options
    for name in ("forward", "backward"):
        for config in linear_relu2_tma_triton._CONFIGS[:most]:
            arguments = (bf16, bf16, bf16, bf16, TOKENS, HIDDEN, WIDTH, 132)
            options = {"BACKWARD": name == "backward", **config.all_kwargs()}
            yield f"linear_relu2_tma, {name}", linear_relu2_tma_triton._product.fn, arguments, options
    fp32, int64 = MockTensor(torch.float32), MockTensor(torch.int64)
    for dtype in (bf16, fp32):
        numbers = (0.3, -0.074, 0.95, 0.05, 1e-10, 12345)
        arguments = (dtype, fp32, fp32, int64, int64, bf16, TOKENS, WIDTH, *numbers)
        options = {"BY_LOT": dtype is bf16, "BLOCK": 1024, "CHUNK": 4, "num_warps": 8}
        yield f"row_update, {dtype.dtype}", row_update_triton._update_sorted, arguments, options
    arguments = (bf16, MockTensor(torch.int64), MockTensor(torch.float32), VOCABULARY, VOCABULARY, 15.0)
    options = {"CAPPED": True, "BLOCK": VOCABULARY, "num_warps": 8}
    yield "cross_entropy", cross_entropy_triton._cross_entropy, arguments, options


def seen(compiled: Any) -> dict[str, Any]:
    """What stands in a kernel's machine code: tensor core instructions, asynchronous copies, stores, spilled bytes."""
    code = compiled.asm["ptx"]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(code)
        [target] = re.findall(r"^\.target (\w+)", code, re.MULTILINE)
        tools = triton.knobs.nvidia
        ptxas = tools.ptxas if int(sys.argv[1]) < 100 else tools.ptxas_blackwell
        assembler = [ptxas.path, "-v", "-arch", target, str(source), "-o", f"{folder}/kernel.cubin"]
        said = subprocess.run(assembler, capture_output=True, text=True, check=True).stderr
    [spilled] = re.findall(r"(\d+) bytes spill stores", said)
    return {
        "tensor_cores": len(re.findall(r"\b(?:wgmma\.mma_async|tcgen05\.mma|mma\.sync)\b", code)),
        "warp_groups": len(re.findall(r"\bwgmma\.mma_async\b", code)),
        "copies": len(re.findall(r"\bcp\.async\.c[ag]\b", code)),
        "whole_tiles_in": len(re.findall(r"\bcp\.async\.bulk\.tensor\S*\.shared::c(?:ta|luster)\.global\b", code)),
        "whole_tiles_out": len(re.findall(r"\bcp\.async\.bulk\.tensor\S*\.global\.shared::cta\b", code)),
        "stores": len(re.findall(r"\bst\.global\b", code)),
        "whole_stores": len(re.findall(r"\bst\.global\S*\.v4\b", code)),
        "spilled": int(spilled),
        "shared": compiled.metadata.shared,
    }


if __name__ == "__main__":
    driver.set_active(Absent(int(sys.argv[1])))
    for name, function, arguments, options in calls(sys.argv[2]):
        compiled = function.warmup(*arguments, **options, grid=(1,))
        print(json.dumps({"kernel": name, "options": options} | seen(compiled)), flush=True)
