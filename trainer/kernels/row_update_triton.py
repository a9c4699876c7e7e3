"""The Triton side of row_update.py: the program of a row's first place adds up its gradients and moves it, once."""

# Triton exists on Linux alone; the checker must pass on a Mac too.
# pyright: reportMissingImports=false, reportIndexIssue=false

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl

from trainer.kernels.row_update import EPSILON

WIDEST = 8192  # numbers of a row that one program holds
TILE = 4096  # numbers of gradients that it loads at a time: more do not fit its registers


@triton.jit(do_not_specialize=["seed"])
def _update_sorted(
    table, squares, visits, places, order, gradient, count, width, lr, log2_beta2, beta2, rest, epsilon, seed,
    BY_LOT: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    first = tl.program_id(0)
    row = tl.load(places + first)
    if row != tl.load(places + first - 1, mask=first > 0, other=-1):
        column = tl.arange(0, BLOCK)
        inside = column < width
        total = tl.zeros((BLOCK,), dtype=tl.float32)
        at = first + tl.arange(0, CHUNK)
        same = tl.load(places + at, mask=at < count, other=-1) == row
        while tl.sum(same.to(tl.int32), axis=0) > 0:  # a frequent row has thousands of gradients
            source = tl.load(order + at, mask=same, other=0)
            known = same[:, None] & inside[None, :]
            parts = tl.load(gradient + source[:, None] * width + column[None, :], mask=known, other=0.0)
            total += tl.sum(parts.to(tl.float32), axis=0)
            at += CHUNK
            same = tl.load(places + at, mask=at < count, other=-1) == row

        visited = tl.load(visits + row) + 1.0
        moment = tl.load(squares + row) * beta2 + rest * (tl.sum(total * total, axis=0) / width)
        unbiased = moment / (1.0 - tl.exp2(visited * log2_beta2))
        here = table + row * width + column
        value = tl.load(here, mask=inside, other=0.0).to(tl.float32)
        value -= total * (lr / (tl.sqrt(unbiased) + epsilon))
        if BY_LOT:  # to bf16, up or down so that it is right in the mean: what is below a last bit still adds up
            dice = tl.randint(seed, first * BLOCK + column) & 0xFFFF
            bits = value.to(tl.int32, bitcast=True) + dice.to(tl.int32, bitcast=True)
            value = (bits & -65536).to(tl.float32, bitcast=True)
        tl.store(here, value.to(table.dtype.element_ty), mask=inside)
        tl.store(visits + row, visited)
        tl.store(squares + row, moment)


def update_sorted(
    table: torch.Tensor, squares: torch.Tensor, visits: torch.Tensor, places: torch.Tensor, order: torch.Tensor,
    gradient: torch.Tensor, lr: float, beta2: float,
) -> None:  # fmt: skip
    """See row_update.update_sorted_eager; nothing is put into the table's last row. `gradient` must be dense.

    Raises:
        ValueError: a row is wider than 8192.
    """
    width = table.shape[1]
    block = triton.next_power_of_2(width)
    if block > WIDEST:
        raise ValueError(f"rows of {width} numbers do not fit one program: at most {WIDEST} do")
    by_lot = table.dtype is torch.bfloat16
    seed = int(torch.randint(2**31 - 1, ())) if by_lot else 0  # from the CPU's dice: nothing waits for the GPU
    _update_sorted[(len(places),)](
        table, squares, visits, places, order, gradient, len(places), width,
        lr, math.log2(beta2), beta2, 1 - beta2, EPSILON, seed,
        BY_LOT=by_lot, BLOCK=block, CHUNK=max(1, min(16, TILE // block)), num_warps=8 if block >= 512 else 4,  # pyright: ignore[reportCallIssue]
    )  # fmt: skip
