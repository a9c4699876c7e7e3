"""The Triton side of polar.py: one kernel for both symmetric products. Importing it needs triton.

Idea of computing one triangle: Large, modded-nanogpt 2025 (XXT) and Ahn et al., Dion 2025, arXiv 2504.05295.
"""

# Triton exists on Linux alone; the checker must pass on a Mac too.
# pyright: reportMissingImports=false, reportIndexIssue=false

from __future__ import annotations

import os
from typing import Any

import torch
import triton
import triton.language as tl

# (tile, depth of a step, warps, stages); the interpreter takes the first, without timing it.
_SHAPES = ((64, 32, 4, 4), (64, 64, 4, 3), (128, 32, 8, 4), (128, 64, 8, 3), (128, 64, 8, 4))
_CONFIGS = [
    triton.Config({"TILE": tile, "DEPTH": depth}, num_warps=warps, num_stages=stages)
    for tile, depth, warps, stages in (_SHAPES[:1] if os.environ.get("TRITON_INTERPRET") == "1" else _SHAPES)
]


@triton.autotune(configs=_CONFIGS, key=["rows", "columns", "x_row", "POLYNOMIAL"], cache_results=True)
@triton.jit
def _symmetric(
    x, out, rows, columns, x_batch, x_row, x_column, a, b, c,
    POLYNOMIAL: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    # Tile t of the lower triangle lies in its row i, column j <= i, where t = i (i + 1) / 2 + j. The square root may
    # round across the border of a row of tiles; the integers mend that.
    tile = tl.program_id(0)
    i = ((tl.sqrt(8.0 * tile + 1.0) - 1.0) / 2.0).to(tl.int32)
    i = tl.where(i * (i + 1) // 2 > tile, i - 1, i)
    i = tl.where((i + 1) * (i + 2) // 2 <= tile, i + 1, i)
    j = tile - i * (i + 1) // 2
    batch = tl.program_id(1).to(tl.int64)  # a stack may hold more than 2^31 elements
    x += batch * x_batch
    out += batch * rows * rows

    row = i * TILE + tl.arange(0, TILE)
    column = j * TILE + tl.arange(0, TILE)
    depth = tl.arange(0, DEPTH)
    left = x + row[:, None] * x_row + depth[None, :] * x_column
    right = x + column[None, :] * x_row + depth[:, None] * x_column
    total = tl.zeros((TILE, TILE), dtype=tl.float32)
    for start in range(0, columns, DEPTH):
        inner = start + depth < columns
        lefts = tl.load(left, mask=(row < rows)[:, None] & inner[None, :], other=0.0)
        rights = tl.load(right, mask=inner[:, None] & (column < rows)[None, :], other=0.0)
        total = tl.dot(lefts, rights, total, input_precision="ieee")  # fp32 stays fp32
        left += DEPTH * x_column
        right += DEPTH * x_column

    inside = (row < rows)[:, None] & (column < rows)[None, :]
    if POLYNOMIAL:  # x is the symmetric matrix itself
        same = tl.load(x + row[:, None] * x_row + column[None, :] * x_column, mask=inside, other=0.0)
        total = c * total + b * same.to(tl.float32) + tl.where(row[:, None] == column[None, :], a, 0.0)
    # A tile on the diagonal mirrors its own lower half, any other one is stored a second time above the diagonal: the
    # result is symmetric to the last bit, and both stores write whole vectors, as no element has a mask of its own.
    value = total.to(out.dtype.element_ty)
    value = tl.where(row[:, None] >= column[None, :], value, tl.trans(value))
    tl.store(out + row[:, None] * rows + column[None, :], value, mask=inside)
    if i != j:
        tl.store(out + column[:, None] * rows + row[None, :], tl.trans(value), mask=tl.trans(inside))


def gram(x: torch.Tensor) -> torch.Tensor:
    """x x^T, see polar.gram."""
    return _launch(x, 0.0, 0.0, 1.0, False)


def polynomial(square: torch.Tensor, a: float, b: float, c: float) -> torch.Tensor:
    """a I + b g + c g g^T, see polar.polynomial."""
    return _launch(square, a, b, c, True)


def _launch(x: torch.Tensor, a: float, b: float, c: float, polynomial: bool) -> torch.Tensor:
    count, rows, columns = x.shape
    out = torch.empty((count, rows, rows), dtype=x.dtype, device=x.device)

    def grid(meta: dict[str, Any]) -> tuple[Any, ...]:
        tiles = triton.cdiv(rows, meta["TILE"])
        return tiles * (tiles + 1) // 2, count

    _symmetric[grid](x, out, rows, columns, *x.stride(), a, b, c, POLYNOMIAL=polynomial)
    return out
