"""Orthogonalization for Muon by the Polar Express (Amsel, Persson, Musco, Gower 2025, arXiv 2505.16932).

Two products carry the cost, and both are symmetric: x x^T, and a I + b g + c g g^T of that. On a GPU a Triton kernel
computes one triangle of each and mirrors it, which saves 40% of the work for matrices 640 wide.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trainer import kernels, probing

Coefficients = Sequence[tuple[float, float, float]]


def polar_express(stack: torch.Tensor, coefficients: Coefficients, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Move every singular value of each of the stacked matrices towards 1.

    Args:
        stack: [N, rows, columns], of any scale.
        coefficients: (a, b, c) of each iteration's odd polynomial a s + b s^3 + c s^5 of the singular values s.
        dtype: to compute in. By default fp16 on CUDA, where the matrices are scaled to norm 1 first and nothing can
            overflow: as fast as bf16 and several times closer to exact. Elsewhere that of `stack`.

    Returns:
        [N, rows, columns] in the dtype of `stack`.
    """
    dtype = dtype or (torch.float16 if stack.is_cuda else stack.dtype)
    x = (stack / (1.02 * stack.norm(dim=(-2, -1), keepdim=True) + 1e-6)).to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    for a, b, c in coefficients:  # the products are always of the small side, and nothing is transposed in memory
        x = x @ polynomial(gram(x.mT), a, b, c) if tall else polynomial(gram(x), a, b, c) @ x
    return x.to(stack.dtype)


def gram(x: torch.Tensor) -> torch.Tensor:
    """x x^T of stacked matrices [N, rows, columns] of any strides: [N, rows, rows]."""
    return torch.ops.trainer.gram(x) if x.is_cuda else gram_eager(x)


def polynomial(square: torch.Tensor, a: float, b: float, c: float) -> torch.Tensor:
    """a I + b g + c g g^T of stacked symmetric matrices g [N, rows, rows]."""
    if square.is_cuda:
        return torch.ops.trainer.polynomial(square, a, b, c)
    return polynomial_eager(square, a, b, c)


def gram_eager(x: torch.Tensor) -> torch.Tensor:
    """The reference of `gram`."""
    return x @ x.mT


def polynomial_eager(square: torch.Tensor, a: float, b: float, c: float) -> torch.Tensor:
    """The reference of `polynomial`."""
    out = torch.baddbmm(square, square, square, beta=b, alpha=c)
    out.diagonal(dim1=-2, dim2=-1).add_(a)
    return out


def probe(device: torch.device) -> float:
    """The largest error of the kernels on stacks wide and tall, small and of a real layer's size, relative to fp32."""
    errors = []
    for count, rows, columns in ((3, 96, 160), (2, 640, 2560)):
        x = probing.draw(count, rows, columns, device=device, dtype=torch.float16) / columns**0.5  # all terms count
        for stack in (x, x.mT.contiguous().mT):
            wanted = gram_eager(stack.float())
            errors.append(probing.difference(_triton().gram(stack), wanted))
            square = wanted.half()
            wanted = polynomial_eager(square.float(), 4.0, -3.0, 2.0)
            errors.append(probing.difference(_triton().polynomial(square, 4.0, -3.0, 2.0), wanted))
    return max(errors)


def _triton():
    from trainer.kernels import polar_triton

    return polar_triton


# Operators of their own, so that torch.compile takes each as one node and its caches can hold it.


@torch.library.custom_op("trainer::gram", mutates_args=())
def _gram(x: torch.Tensor) -> torch.Tensor:
    return _triton().gram(x) if kernels.used("polar", x.device) else gram_eager(x)


@torch.library.custom_op("trainer::polynomial", mutates_args=())
def _polynomial(square: torch.Tensor, a: float, b: float, c: float) -> torch.Tensor:
    triangle = kernels.used("polar", square.device)
    return _triton().polynomial(square, a, b, c) if triangle else polynomial_eager(square, a, b, c)


@_gram.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return x.new_empty(x.shape[0], x.shape[1], x.shape[1])


@_polynomial.register_fake
def _(square: torch.Tensor, a: float, b: float, c: float) -> torch.Tensor:
    return square.new_empty(square.shape)
