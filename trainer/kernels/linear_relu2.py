"""An MLP with a squared ReLU whose nonlinearity, forward and backward, is part of its matrix products.

Only post = relu(x up^T)^2 is kept for the backward pass: the slope there is 2 sqrt(post) (modded-nanogpt, 2025). That
saves four passes over [tokens, hidden] and the memory of one, and must win a race at start (see kernels/__init__.py):
the products themselves are slower than cuBLAS's.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch.nn import functional as F

from trainer import kernels, probing


def _kernels_of(*operands: torch.Tensor) -> ModuleType | None:
    """The best kernels in use for which these matrices will do."""
    found = (triton_of(name) for name in kernels.rivals(operands[0].device))
    return next((module for module in found if module.fits(*operands)), None)


def mlp(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """relu(x up^T)^2 down^T.

    Args:
        x: [..., width].
        up: [hidden, width], used in the dtype of `x`.
        down: [width, hidden], used in the dtype of `x`.

    Returns:
        [..., width] in the dtype of `x`.
    """
    return mlp_of_gpu(x, up, down) if x.is_cuda else mlp_reference(x, up, down)


def mlp_of_gpu(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """`mlp` on a GPU, as one operator."""
    flat = x.flatten(0, -2)
    return torch.ops.trainer.mlp_relu2(flat, up.to(x.dtype), down.to(x.dtype))[0].view(x.shape)


def mlp_reference(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """What `mlp` computes, spelled out."""
    return F.linear(F.relu(F.linear(x, up.to(x.dtype))).square(), down.to(x.dtype))


def activated(x: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """The forward product: relu(x up^T)^2 of x [tokens, width] and up [hidden, width]."""
    kernel = _kernels_of(x, up)
    return kernel.activated(x, up) if kernel else activated_eager(x, up)


def activated_eager(x: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """The reference of `activated`."""
    return F.relu(x @ up.T).square_()


def slanted(d_out: torch.Tensor, down: torch.Tensor, post: torch.Tensor) -> torch.Tensor:
    """The backward product: (d_out down) 2 sqrt(post), of d_out [tokens, width] and post [tokens, hidden]."""
    kernel = _kernels_of(d_out, down, post)
    return kernel.slanted(d_out, down, post) if kernel else slanted_eager(d_out, down, post)


def slanted_eager(d_out: torch.Tensor, down: torch.Tensor, post: torch.Tensor) -> torch.Tensor:
    """The reference of `slanted`."""
    return (d_out @ down).mul_(2 * post.sqrt())


def probe(device: torch.device) -> float:
    """The largest error of the kernels on small matrices, relative to fp32."""
    return error_of(triton_of("linear_relu2"), device)


def race(device: torch.device) -> float:
    """How many times as fast the kernels are as cuBLAS and one more pass over its product."""
    return speed_of(triton_of("linear_relu2"), device)


def error_of(kernel: ModuleType, device: torch.device) -> float:
    """The largest error of one way's kernels on small matrices, relative to fp32."""
    x, up, down = (probing.draw(*shape, device=device) for shape in ((96, 80), (144, 80), (80, 144)))
    post = activated_eager(x.float(), up.float())
    low = post.bfloat16()
    return max(
        probing.difference(kernel.activated(x, up), post),
        probing.difference(kernel.slanted(x, down, low), slanted_eager(x.float(), down.float(), low.float())),
    )


def speed_of(kernel: ModuleType, device: torch.device, tokens: int = 65536, width: int = 640) -> float:
    """How many times as fast one way's kernels are as cuBLAS and one more pass over its product, which is what
    torch.compile makes of the reference: forward one that reads one tensor, backward one that reads two."""
    x, up = probing.draw(tokens, width, device=device), probing.draw(4 * width, width, device=device)
    down = up.T.contiguous()
    post = activated_eager(x, up)
    return kernels.ratio(
        lambda: (F.relu(x @ up.T), (x @ down) * post),
        lambda: (kernel.activated(x, up), kernel.slanted(x, down, post)),
    )


def triton_of(name: str) -> ModuleType:
    """The Triton side of one way. Importing it needs triton."""
    return importlib.import_module(f"trainer.kernels.{name}_triton")


@torch.library.custom_op("trainer::mlp_relu2", mutates_args=())
def _mlp(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    post = activated(x, up)
    return post @ down.T, post


@_mlp.register_fake
def _(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(x), x.new_empty(x.shape[0], up.shape[0])


@torch.library.custom_op("trainer::mlp_relu2_backward", mutates_args=())
def _mlp_backward(
    d_out: torch.Tensor, x: torch.Tensor, up: torch.Tensor, down: torch.Tensor, post: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    d_pre = slanted(d_out, down, post)
    return d_pre @ up, d_pre.T @ x, d_out.T @ post


@_mlp_backward.register_fake
def _(d_out: torch.Tensor, x: torch.Tensor, up: torch.Tensor, down: torch.Tensor, post: torch.Tensor):
    return torch.empty_like(x), torch.empty_like(up), torch.empty_like(down)


def _keep(ctx: Any, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    ctx.save_for_backward(*inputs, output[1])


def _backward(ctx: Any, d_out: torch.Tensor, _d_post: torch.Tensor | None):
    return torch.ops.trainer.mlp_relu2_backward(d_out.contiguous(), *ctx.saved_tensors)


_mlp.register_autograd(_backward, setup_context=_keep)
