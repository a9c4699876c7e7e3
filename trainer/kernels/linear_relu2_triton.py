"""The Triton side of linear_relu2.py: a tiled matrix product with the squared ReLU, or its slope, at its end."""

# Triton exists on Linux alone; the checker must pass on a Mac too.
# pyright: reportMissingImports=false, reportIndexIssue=false

from __future__ import annotations

import os
from typing import Any

import torch
import triton
import triton.language as tl

# (rows, columns and depth of a tile, warps, stages); the interpreter takes the first, without timing it.
_SHAPES = ((32, 32, 32, 4, 2), (128, 128, 64, 8, 3), (128, 256, 64, 8, 3), (256, 128, 64, 8, 3), (128, 128, 32, 4, 4))
_CONFIGS = [
    triton.Config({"ROWS": rows, "COLUMNS": columns, "DEPTH": depth}, num_warps=warps, num_stages=stages)
    for rows, columns, depth, warps, stages in (
        _SHAPES[:1] if os.environ.get("TRITON_INTERPRET") == "1" else _SHAPES[1:]
    )
]


@triton.autotune(configs=_CONFIGS, key=["columns", "inner", "BACKWARD"], cache_results=True)
@triton.jit
def _product(
    a, b, post, out, rows, columns, inner, a_row, a_inner, b_inner, b_column,
    BACKWARD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    # Neighbouring programs share eight rows of tiles, so that what they read stays in the L2 cache.
    tiles_down, tiles_across = tl.cdiv(rows, ROWS), tl.cdiv(columns, COLUMNS)
    band = tl.program_id(0) // (8 * tiles_across)
    height = min(tiles_down - 8 * band, 8)
    place = tl.program_id(0) % (8 * tiles_across)
    i = 8 * band + place % height
    j = place // height

    row = i.to(tl.int64) * ROWS + tl.arange(0, ROWS)  # tokens times width may exceed 2^31
    column = j * COLUMNS + tl.arange(0, COLUMNS)
    depth = tl.arange(0, DEPTH)
    left = a + row[:, None] * a_row + depth[None, :] * a_inner
    right = b + depth[:, None] * b_inner + column[None, :] * b_column
    total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for start in range(0, inner, DEPTH):
        known = start + depth < inner
        lefts = tl.load(left, mask=(row < rows)[:, None] & known[None, :], other=0.0)
        rights = tl.load(right, mask=known[:, None] & (column < columns)[None, :], other=0.0)
        total = tl.dot(lefts, rights, total, input_precision="ieee")  # fp32 stays fp32
        left += DEPTH * a_inner
        right += DEPTH * b_inner

    inside = (row < rows)[:, None] & (column < columns)[None, :]
    place = row[:, None] * columns + column[None, :]
    if BACKWARD:
        total *= 2.0 * tl.sqrt(tl.load(post + place, mask=inside, other=0.0).to(tl.float32))
    else:
        total = tl.maximum(total, 0.0)
        total *= total
    tl.store(out + place, total.to(out.dtype.element_ty), mask=inside)


def fits(*_tensors: torch.Tensor) -> bool:
    """Matrices of any sizes and strides fit."""
    return True


def activated(x: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """relu(x up^T)^2, see linear_relu2.activated."""
    return _launch(x, up.T, x, False)


def slanted(d_out: torch.Tensor, down: torch.Tensor, post: torch.Tensor) -> torch.Tensor:
    """(d_out down) 2 sqrt(post), see linear_relu2.slanted."""
    return _launch(d_out, down, post.contiguous(), True)


def _launch(a: torch.Tensor, b: torch.Tensor, post: torch.Tensor, backward: bool) -> torch.Tensor:
    rows, inner = a.shape
    columns = b.shape[1]
    out = torch.empty((rows, columns), dtype=a.dtype, device=a.device)

    def grid(meta: dict[str, Any]) -> tuple[Any, ...]:
        return (triton.cdiv(rows, meta["ROWS"]) * triton.cdiv(columns, meta["COLUMNS"]),)

    _product[grid](a, b, post, out, rows, columns, inner, *a.stride(), *b.stride(), BACKWARD=backward)
    return out
