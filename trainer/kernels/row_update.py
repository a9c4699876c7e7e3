"""Adam without a first moment for some rows of a table: the optimizer of sparse_rows.py.

A step of a large table touches a few of its rows, some of them often. On a GPU a Triton kernel adds up the gradients of
each touched row and moves it at once; the eager reference spells out the same and runs everywhere else. Not measured on
a GPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from trainer import kernels, probing

BETA2, EPSILON = 0.95, 1e-10


def update_rows(
    table: torch.Tensor, squares: torch.Tensor, visits: torch.Tensor, places: torch.Tensor, gradient: torch.Tensor,
    lr: float, beta2: float = BETA2,
) -> None:  # fmt: skip
    """Move the rows at `places` alone against their gradients, in place.

    Args:
        table: [rows + 1, width]; the last row is a place to put nothing.
        squares, visits: fp32 [rows + 1], each row's second moment, and how many steps touched it.
        places: int64 [N], rows, some more than once: their gradients are added up.
        gradient: [N, width].
    """
    places, order = places.sort()
    if kernels.used("row_update", table.device):
        _triton().update_sorted(table, squares, visits, places, order, gradient.contiguous(), lr, beta2)
    else:
        update_sorted_eager(table, squares, visits, places, order, gradient, lr, beta2)


def update_sorted_eager(
    table: torch.Tensor, squares: torch.Tensor, visits: torch.Tensor, places: torch.Tensor, order: torch.Tensor,
    gradient: torch.Tensor, lr: float, beta2: float,
) -> None:  # fmt: skip
    """The reference: of `places` in ascending order, whose gradients stand in the rows `order` of `gradient`."""
    first = torch.ones_like(places, dtype=torch.bool)
    first[1:] = places[1:] != places[:-1]
    nth = first.cumsum(0) - 1  # which of the different rows
    summed = torch.zeros(gradient.shape, dtype=torch.float32, device=gradient.device)
    summed.index_add_(0, nth, gradient[order].float())
    rows = torch.full_like(places, len(table) - 1).scatter_(0, nth, places)  # fixed in size: what is left is nobody's
    visited = visits[rows] + 1
    moment = squares[rows] * beta2 + (1 - beta2) * summed.square().mean(dim=1)
    step = summed * (lr / ((moment / (1 - beta2**visited)).sqrt() + EPSILON))[:, None]
    visits[rows], squares[rows] = visited, moment
    table[rows] = rounded(table[rows].float() - step, table.dtype)


def rounded(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """fp32 numbers in another dtype; in bf16 up or down by lot, so that they are right in the mean."""
    if dtype is not torch.bfloat16:
        return x.to(dtype)
    bits = x.view(torch.int32) + torch.randint_like(x, 2**16, dtype=torch.int32)
    return (bits & -(2**16)).view(torch.float32).bfloat16()


def probe(device: torch.device) -> float:
    """The largest error of the kernel, in fp32 and bf16, relative to the reference in fp32: of rows, second moments and
    visits after three steps, with rows touched once, often and never."""
    wanted = _steps(update_sorted_eager, torch.float32, device)
    return max(
        probing.difference(found, exact)
        for dtype in (torch.float32, torch.bfloat16)
        for found, exact in zip(_steps(_triton().update_sorted, dtype, device), wanted, strict=True)
    )


def _steps(update: Callable[..., None], dtype: torch.dtype, device: torch.device) -> list[torch.Tensor]:
    rows, width, count = 50, 96, 200
    table, squares, visits = torch.zeros(rows + 1, width), torch.zeros(rows + 1), torch.zeros(rows + 1)
    state = [table.to(device, dtype), squares.to(device), visits.to(device)]
    places, order = (torch.arange(count, device=device) ** 2 % (rows - 3)).sort()
    for seed in range(3):
        update(*state, places, order, probing.draw(count, width, device=device, seed=seed), 0.05, BETA2)
    return [tensor[:-1] for tensor in state]


def _triton():
    from trainer.kernels import row_update_triton

    return row_update_triton
