"""Softcapped cross entropy: loss and gradient in one pass over the logits, which are never held in fp32.

`head_loss` is the whole end of a language model: its last matrix, the softcap, the cross entropy. It works through the
tokens in chunks. Each chunk's logits live once, in the dtype of the features; the gradient is written over them and
used up at once, so a step holds logits of one chunk only. What autograd keeps are the finished gradients.

Writing the gradient into the logits: Liger Kernel (Hsu et al. 2024, arXiv 2410.10989); one kernel for both directions:
modded-nanogpt, 2026.
"""

from __future__ import annotations

from typing import Any

import torch

from trainer import kernels, probing

# Logits of one chunk. On a GPU half a GiB in bf16, so that its products are large; on a CPU what stays in the cache.
CHUNK = {"cuda": 2**28, "mps": 2**23, "cpu": 2**17}


def head_loss(
    features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float = 0.0
) -> torch.Tensor:
    """Mean cross entropy of cap * tanh(features weight^T / cap), in nats.

    Args:
        features: [tokens, width] in fp32, bf16 or fp16.
        weight: [vocab_size, width], used in the dtype of `features`.
        targets: int64 [tokens].
        softcap: bound of the logits; 0 leaves them as they are.

    Returns:
        fp32 scalar, differentiable once in `features` and `weight`.
    """
    if features.is_cuda:
        return head_loss_of_gpu(features, weight, targets, softcap)
    return _HeadLoss.apply(features, weight, targets, softcap)


def head_loss_of_gpu(
    features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float
) -> torch.Tensor:
    """`head_loss` on a GPU, as one operator."""
    return torch.ops.trainer.head_loss(features, weight, targets, softcap)[0]


def head_loss_reference(
    features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float = 0.0
) -> torch.Tensor:
    """What `head_loss` computes, spelled out, with all logits in fp32."""
    logits = (features @ weight.to(features.dtype).T).float()
    if softcap:
        logits = softcap * torch.tanh(logits / softcap)
    return torch.nn.functional.cross_entropy(logits, targets)


def cross_entropy_(logits: torch.Tensor, targets: torch.Tensor, softcap: float = 0.0) -> torch.Tensor:
    """Replace logits [tokens, vocab_size] by the gradient of the summed cross entropy; return it by token, fp32."""
    if kernels.used("cross_entropy", logits.device):
        return _triton().cross_entropy_(logits, targets, softcap)
    return cross_entropy_eager_(logits, targets, softcap)


def cross_entropy_eager_(logits: torch.Tensor, targets: torch.Tensor, softcap: float = 0.0) -> torch.Tensor:
    """The reference of `cross_entropy_`."""
    # cap * tanh(x / cap) is 2 cap s - cap with s = sigmoid(2 x / cap), which takes a tenth of tanh's time on a CPU; the
    # softmax does not notice the constant, and the slope is 4 s (1 - s).
    index = targets[:, None]
    work = logits.float()  # the logits themselves where they are fp32 already
    if softcap:
        work.mul_(2 / softcap).sigmoid_()
    share = torch.softmax(2 * softcap * work if softcap else work, dim=1)
    losses = share.gather(1, index).clamp_min_(1e-38).log_().neg_()
    share.scatter_add_(1, index, torch.full_like(losses, -1.0))
    if softcap:
        share.mul_(torch.addcmul(work, work, work, value=-1.0)).mul_(4.0)
    logits.copy_(share)
    return losses[:, 0]


def probe(device: torch.device) -> float:
    """The largest error of the kernel on a small batch, of losses and gradients, relative to fp32."""
    logits = 8 * probing.draw(64, 1000, device=device)
    targets = torch.arange(64, device=device) * 7919 % 1000
    exact = logits.float()
    losses = _triton().cross_entropy_(logits, targets, 15.0)
    wanted = cross_entropy_eager_(exact, targets, 15.0)
    return max(probing.difference(losses, wanted), probing.difference(logits, exact))


def _triton():
    from trainer.kernels import cross_entropy_triton

    return cross_entropy_triton


def _loss_and_gradients(
    features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The mean loss, and what its sum changes in features and weight: dividing that is left to the backward pass, which
    scales it anyway."""
    tokens, vocab_size = len(features), len(weight)
    low = weight.to(features.dtype)
    rows = max(1, CHUNK[features.device.type] // vocab_size)
    d_features = torch.empty_like(features)
    d_weight = torch.zeros_like(weight)
    total = torch.zeros((), device=features.device)
    for first in range(0, tokens, rows):
        chunk = features[first : first + rows]
        gradient = chunk @ low.T  # still logits
        total += cross_entropy_(gradient, targets[first : first + rows], softcap).sum()
        torch.mm(gradient, low, out=d_features[first : first + rows])
        if weight.dtype == gradient.dtype:
            d_weight.addmm_(gradient.T, chunk)
        else:
            d_weight += gradient.T @ chunk
    return total.div_(tokens), d_features, d_weight


class _HeadLoss(torch.autograd.Function):
    """On a CPU, where an operator of one's own costs more to call than this."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float):
        loss, *gradients = _loss_and_gradients(features, weight, targets, softcap)
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, d_loss: torch.Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return _scale(ctx, d_loss)


# The same as an operator of its own, so that torch.compile takes it as one node and its caches can hold it.


@torch.library.custom_op("trainer::head_loss", mutates_args=())
def _head_loss(
    features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _loss_and_gradients(features, weight, targets, softcap)


@_head_loss.register_fake
def _(features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, softcap: float):
    return features.new_empty((), dtype=torch.float32), torch.empty_like(features), torch.empty_like(weight)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    ctx.save_for_backward(*output[1:])
    ctx.set_materialize_grads(False)


def _scale(ctx: Any, d_loss: torch.Tensor, *_unused: torch.Tensor | None):
    d_features, d_weight = ctx.saved_tensors
    share = d_loss / len(d_features)
    return share * d_features, share * d_weight, None, None


_head_loss.register_autograd(_scale, setup_context=_keep)
