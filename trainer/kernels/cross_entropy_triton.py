"""The Triton side of cross_entropy.py: a program per token, whose row of logits is read once and written once."""

# Triton exists on Linux alone; the checker must pass on a Mac too.
# pyright: reportMissingImports=false, reportIndexIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _cross_entropy(
    logits, targets, losses, columns, stride, softcap,
    CAPPED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)  # tokens times vocabulary exceeds 2^31
    column = tl.arange(0, BLOCK)
    inside = column < columns
    here = logits + token * stride + column
    value = tl.load(here, mask=inside, other=0.0).to(tl.float32)
    slope = 1.0
    if CAPPED:
        half = tl.sigmoid(2.0 * value / softcap)  # tanh = 2 half - 1, and its slope is 4 half (1 - half)
        value = softcap * (2.0 * half - 1.0)
        slope = 4.0 * half * (1.0 - half)
    value = tl.where(inside, value, float("-inf"))
    top = tl.max(value, axis=0)
    share = tl.exp(value - top)
    total = tl.sum(share, axis=0)
    hit = column == tl.load(targets + token)
    tl.store(losses + token, tl.log(total) + top - tl.sum(tl.where(hit, value, 0.0), axis=0))
    gradient = (share / total - tl.where(hit, 1.0, 0.0)) * slope
    tl.store(here, gradient.to(logits.dtype.element_ty), mask=inside)


def cross_entropy_(logits: torch.Tensor, targets: torch.Tensor, softcap: float) -> torch.Tensor:
    """See cross_entropy.cross_entropy_. `logits` [tokens, vocab_size] must be dense along the vocabulary.

    Raises:
        ValueError: it is not, or the vocabulary is larger than 65536.
    """
    tokens, columns = logits.shape
    if logits.stride(1) != 1:
        raise ValueError("the logits must be dense along the vocabulary: pass them as a product made them")
    if columns > 65536:
        raise ValueError(f"a vocabulary of {columns} tokens does not fit one program: at most 65536 do")
    losses = torch.empty(tokens, dtype=torch.float32, device=logits.device)
    block = triton.next_power_of_2(columns)
    _cross_entropy[(tokens,)](
        logits, targets, losses, columns, logits.stride(0), softcap,
        CAPPED=bool(softcap), BLOCK=block, num_warps=min(32, max(4, block // 1024)),  # pyright: ignore[reportCallIssue]
    )  # fmt: skip
    return losses
