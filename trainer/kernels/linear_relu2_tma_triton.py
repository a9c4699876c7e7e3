"""The Triton side of linear_relu2_tma.py: as many programs as the GPU has processors go through all tiles of a product.

What they read and write is described to the hardware, which moves whole tiles by itself (TMA) and fills in zeros past
the edges; the next tile's first loads are under way while the last tile is still written.
"""

# Triton exists on Linux alone; the checker must pass on a Mac too.
# pyright: reportMissingImports=false, reportIndexIssue=false, reportArgumentType=false

from __future__ import annotations

import functools
import os
from typing import Any

import torch
import triton
import triton.language as tl

# (rows, columns and depth of a tile, warps, stages); the interpreter takes the first, without timing it. The last is
# for GPUs with the memory of a graphics card, into which no other fits.
_SHAPES = (
    (32, 32, 32, 4, 2), (128, 128, 64, 8, 4), (128, 256, 64, 8, 3), (128, 256, 64, 8, 2), (128, 128, 64, 4, 3),
    (128, 64, 64, 4, 2),
)  # fmt: skip
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
_CONFIGS = [
    triton.Config({"ROWS": rows, "COLUMNS": columns, "DEPTH": depth}, num_warps=warps, num_stages=stages)
    for rows, columns, depth, warps, stages in (_SHAPES[:1] if INTERPRETED else _SHAPES[1:])
]


@triton.autotune(configs=_CONFIGS, key=["columns", "inner", "BACKWARD"], cache_results=True)
@triton.jit
def _product(
    a, b, post, out, rows, columns, inner, programs,
    BACKWARD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    lefts = tl.make_tensor_descriptor(a, [rows, inner], [inner, 1], [ROWS, DEPTH])
    results = tl.make_tensor_descriptor(out, [rows, columns], [columns, 1], [ROWS, COLUMNS])
    if BACKWARD:  # b is [inner, columns]
        rights = tl.make_tensor_descriptor(b, [inner, columns], [columns, 1], [DEPTH, COLUMNS])
        slopes = tl.make_tensor_descriptor(post, [rows, columns], [columns, 1], [ROWS, COLUMNS])
    else:  # b is [columns, inner]
        rights = tl.make_tensor_descriptor(b, [columns, inner], [inner, 1], [COLUMNS, DEPTH])

    tiles_down, tiles_across = tl.cdiv(rows, ROWS), tl.cdiv(columns, COLUMNS)
    for tile in tl.range(tl.program_id(0), tiles_down * tiles_across, programs, flatten=True):
        # Neighbouring tiles share eight rows of tiles, so that what they read stays in the L2 cache.
        band = tile // (8 * tiles_across)
        height = min(tiles_down - 8 * band, 8)
        row = (8 * band + tile % (8 * tiles_across) % height) * ROWS
        column = tile % (8 * tiles_across) // height * COLUMNS
        total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
        for start in range(0, inner, DEPTH):
            left = lefts.load([row, start])
            right = rights.load([start, column]) if BACKWARD else rights.load([column, start]).T
            total = tl.dot(left, right, total, input_precision="ieee")  # fp32 stays fp32
        if BACKWARD:
            total *= 2.0 * tl.sqrt(slopes.load([row, column]).to(tl.float32))
        else:
            total = tl.maximum(total, 0.0)
            total *= total
        results.store([row, column], total.to(out.dtype.element_ty))


def fits(*tensors: torch.Tensor) -> bool:
    """Whether the hardware can be told where these matrices lie: dense rows that begin at multiples of 16 bytes."""
    return all(
        tensor.stride(1) == 1
        and tensor.stride(0) == tensor.shape[1]
        and tensor.shape[1] * tensor.element_size() % 16 == 0
        and tensor.data_ptr() % 16 == 0
        for tensor in tensors
    )


def activated(x: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """relu(x up^T)^2, see linear_relu2.activated; all must fit."""
    return _launch(x, up, x, len(up), False)


def slanted(d_out: torch.Tensor, down: torch.Tensor, post: torch.Tensor) -> torch.Tensor:
    """(d_out down) 2 sqrt(post), see linear_relu2.slanted; all must fit."""
    return _launch(d_out, down, post, down.shape[1], True)


def _launch(a: torch.Tensor, b: torch.Tensor, post: torch.Tensor, columns: int, backward: bool) -> torch.Tensor:
    rows, inner = a.shape
    out = torch.empty((rows, columns), dtype=a.dtype, device=a.device)
    programs = processors(a.device)

    def grid(meta: dict[str, Any]) -> tuple[Any, ...]:
        return (min(programs, triton.cdiv(rows, meta["ROWS"]) * triton.cdiv(columns, meta["COLUMNS"])),)

    triton.set_allocator(_scratch)  # of this thread alone: autograd calls from threads of its own
    _product[grid](a, b, post, out, rows, columns, inner, programs, BACKWARD=backward)
    return out


@functools.cache
def processors(device: torch.device) -> int:
    """How many programs run at a time, one on each of the GPU's processors."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 3


def _scratch(size: int, _alignment: int, _stream: int | None) -> torch.Tensor:
    """Memory in which a kernel describes its matrices."""
    return torch.empty(size, dtype=torch.int8, device="cuda")
