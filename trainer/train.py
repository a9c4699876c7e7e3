"""Train a GPT for a fixed time. THE file agents edit; everything it imports from this repository is fixed.

    python -m trainer.train                                          # from the repository's root
    SWARM_DEVICE=cpu TIME_BUDGET=20 python -m trainer.train          # 20 CPU-seconds, no GPU needed

Trains for `TIME_BUDGET` counted seconds (300), then prints a `---` line and `key: value` lines. Alone it measures
val_bpb itself; in a swarm (`SWARM_RUN_DIR` set) it writes heartbeats, saves the model there, and the referee measures.
harness.py lists the other variables. Exit codes: 0 trained, 1 diverged (prints FAIL), 2 cannot start.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.adamw import adamw

import prepare
from trainer import attention, harness, kernels, sparse_rows, start
from trainer.kernels import cross_entropy, linear_relu2, polar

# ---------------------------------------------------------------------------------------------------------------
# Presets: one point to start from for each kind of device
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Every number of a model and its training.

    Shape: `depth` blocks, `width` channels in heads of `head_dim`; `mlp_ratio` times `width` is the MLP's hidden width,
    `activation` (relu2, gelu, silu) its nonlinearity. A step reads `total_batch_size` tokens in rows of `seq_len`, in
    micro-batches of at most `device_batch_size` rows.

    Attention: `window_pattern` repeats over the layers; L sees the last `long_window` of the row, S the last
    `short_window` (shares of `seq_len`); the last layer is always L. `rope_base` sets the slowest rotation of
    positions, `query_gain` multiplies the scores, `softcap` bounds the logits (0: nothing does), `x0_init` is how much
    of the embedding every block gets to see at first, and `init_scale` over the root of `width` the standard deviation
    of fresh matrices.

    Beside each token's embedding: hashed tables of `bigram_rows` and `trigram_rows` rows (0: none), which are learned
    at `ngram_lr` and also added to the values of the last `ngram_value_layers` layers; and, where `copy_features` is
    1, what followed when the last two tokens, or the last one, stood in this document before (0: nothing).

    Learning rates: `matrix_lr` for the blocks' matrices (Muon), the rest for AdamW; `embedding_lr` and `head_lr` hold
    at width 768 and scale with its inverse root; `scalar_lr` is for the x0 and stream scales. Decay, all decoupled:
    `weight_decay` of matrices, falling to zero over the run, and `embedding_decay`, `head_decay`, `value_decay`.
    AdamW's averages: `adam_beta1` and `adam_beta2`; `embedding_beta2` of all tables, `x0_beta1` of the x0 scales.
    `muon_momentum` is reached after `momentum_warmup` steps, and goes to `momentum_end` during the warmdown;
    `muon_steps` iterations orthogonalize an update, whose rows are made equally long before that where `muon_equalize`
    is 1; `muon_beta2` averages the sizes of its rows.

    Schedule, in shares of the budget: up during `warmup`, level, down during `warmdown` to `final_lr` of the peak.
    """

    depth: int
    width: int
    head_dim: int
    mlp_ratio: float
    activation: str
    seq_len: int
    device_batch_size: int
    total_batch_size: int
    window_pattern: str
    short_window: float
    long_window: float
    rope_base: float
    query_gain: float
    softcap: float
    x0_init: float
    init_scale: float
    bigram_rows: int
    trigram_rows: int
    ngram_value_layers: int
    ngram_lr: float
    copy_features: int
    embedding_lr: float
    head_lr: float
    matrix_lr: float
    scalar_lr: float
    weight_decay: float
    embedding_decay: float
    head_decay: float
    value_decay: float
    adam_beta1: float
    adam_beta2: float
    embedding_beta2: float
    x0_beta1: float
    muon_momentum: float
    momentum_warmup: int
    momentum_end: float
    muon_steps: int
    muon_beta2: float
    muon_equalize: int
    warmup: float
    warmdown: float
    final_lr: float


PRESETS = {
    # 80.9M parameters with a vocabulary of 8192: what a night on one H100 found (autoresearch, exp/H100/mar8).
    "cuda": Preset(
        depth=9, width=640, head_dim=128, mlp_ratio=4.0, activation="relu2",
        seq_len=2048, device_batch_size=128, total_batch_size=2**18,
        window_pattern="SSSSL", short_window=0.125, long_window=1.0, rope_base=200_000.0, query_gain=1.0, softcap=15.0,
        x0_init=0.05, init_scale=0.68,
        bigram_rows=0, trigram_rows=0, ngram_value_layers=0, ngram_lr=0.3, copy_features=0,
        embedding_lr=0.9, head_lr=0.005, matrix_lr=0.04, scalar_lr=0.5,
        weight_decay=0.2, embedding_decay=0.001, head_decay=0.01, value_decay=0.003,
        adam_beta1=0.8, adam_beta2=0.95, embedding_beta2=0.95, x0_beta1=0.96,
        muon_momentum=0.95, momentum_warmup=200, momentum_end=0.95, muon_steps=5, muon_beta2=0.95, muon_equalize=0,
        warmup=0.0, warmdown=0.75, final_lr=0.05,
    ),
    # 11.5M parameters: what an Apple GPU trains in five minutes; windows do not pay at this length.
    "mps": Preset(
        depth=4, width=256, head_dim=128, mlp_ratio=4.0, activation="relu2",
        seq_len=512, device_batch_size=16, total_batch_size=2**15,
        window_pattern="L", short_window=0.5, long_window=1.0, rope_base=10_000.0, query_gain=1.0, softcap=15.0,
        x0_init=0.1, init_scale=1.0,
        bigram_rows=0, trigram_rows=0, ngram_value_layers=0, ngram_lr=0.2, copy_features=0,
        embedding_lr=0.6, head_lr=0.004, matrix_lr=0.04, scalar_lr=0.5,
        weight_decay=0.2, embedding_decay=0.0, head_decay=0.0, value_decay=0.0,
        adam_beta1=0.8, adam_beta2=0.95, embedding_beta2=0.95, x0_beta1=0.96,
        muon_momentum=0.95, momentum_warmup=100, momentum_end=0.95, muon_steps=5, muon_beta2=0.95, muon_equalize=0,
        warmup=0.0, warmdown=0.5, final_lr=0.0,
    ),
    # 0.5M parameters with a vocabulary of 2048: a deliberately plain start, for 20 CPU-seconds a run on one core.
    "cpu": Preset(
        depth=2, width=64, head_dim=32, mlp_ratio=4.0, activation="relu2",
        seq_len=128, device_batch_size=4, total_batch_size=2**12,
        window_pattern="L", short_window=0.5, long_window=1.0, rope_base=10_000.0, query_gain=1.0, softcap=15.0,
        x0_init=0.1, init_scale=1.0,
        bigram_rows=0, trigram_rows=0, ngram_value_layers=0, ngram_lr=0.2, copy_features=0,
        embedding_lr=0.2, head_lr=0.004, matrix_lr=0.02, scalar_lr=0.5,
        weight_decay=0.2, embedding_decay=0.0, head_decay=0.0, value_decay=0.0,
        adam_beta1=0.8, adam_beta2=0.95, embedding_beta2=0.95, x0_beta1=0.96,
        muon_momentum=0.95, momentum_warmup=100, momentum_end=0.95, muon_steps=5, muon_beta2=0.95, muon_equalize=0,
        warmup=0.0, warmdown=0.3, final_lr=0.0,
    ),
}  # fmt: skip

# autoresearch's own default, for the bench alone (AUTORESEARCH_PRESET=upstream): the same model, to compare speed.
PRESETS["upstream"] = replace(
    PRESETS["cuda"], depth=8, width=512, total_batch_size=2**19, window_pattern="SSSL", short_window=0.5,
    rope_base=10_000.0, x0_init=0.1, init_scale=1.0, embedding_lr=0.6, head_lr=0.004,
    embedding_decay=0.0, head_decay=0.0, value_decay=0.0, momentum_warmup=300, warmdown=0.5, final_lr=0.0,
)  # fmt: skip

ACTIVATIONS = {"relu2": lambda x: F.relu(x).square(), "gelu": F.gelu, "silu": F.silu}

# ---------------------------------------------------------------------------------------------------------------
# Model
# ---------------------------------------------------------------------------------------------------------------


def norm(x: torch.Tensor) -> torch.Tensor:
    """Scale the last dimension to a root mean square of 1; no learned gain."""
    return F.rms_norm(x, (x.shape[-1],))


class Linear(nn.Linear):
    """A matrix without bias, kept in fp32 and used in the dtype of its input, fresh with standard deviation `std`."""

    def __init__(self, inputs: int, outputs: int, std: float) -> None:
        super().__init__(inputs, outputs, bias=False)
        spread_evenly(self.weight, std)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight.to(x.dtype))


def spread_evenly(weight: torch.Tensor, std: float) -> None:
    """Draw a weight from the uniform distribution with standard deviation `std`."""
    nn.init.uniform_(weight, -math.sqrt(3) * std, math.sqrt(3) * std)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the two halves of each head of x [B, T, H, D] by its position's angles: cos [T, 1, 1, D / 2] and
    sin [T, 1, 2, D / 2], which is negative for the first half."""
    halves = x.unflatten(-1, (2, -1))
    return (halves * cos + halves.flip(-2) * sin).flatten(-2)


GATE_CHANNELS = 32  # channels of the stream that decide how much of its value embedding a token gets


class Attention(nn.Module):
    """Multi-head attention with normalized queries and keys; some layers add a value looked up by token."""

    def __init__(
        self, preset: Preset, window: int, value_vocab: int | None, attend: attention.Attend, grams: bool = False
    ) -> None:
        super().__init__()
        width, std = preset.width, preset.init_scale * preset.width**-0.5
        self.head_dim, self.window, self.attend = preset.head_dim, window, attend
        self.query = Linear(width, width, std)
        self.key = Linear(width, width, std)
        self.value = Linear(width, width, std)
        self.out = Linear(width, width, 0.0)  # what writes to the stream is zero at first: a block starts as identity
        self.table = self.gate = None
        if value_vocab:
            self.table = nn.Embedding(value_vocab, width)
            self.gate = Linear(GATE_CHANNELS, width // preset.head_dim, 0.0)
            spread_evenly(self.table.weight, std)
        self.gram_gate = Linear(GATE_CHANNELS, width // preset.head_dim, 0.0) if grams else None

    def forward(
        self, x: torch.Tensor, idx: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, grams: torch.Tensor | None
    ) -> torch.Tensor:
        weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])  # one product for all three
        heads = F.linear(x, weight.to(x.dtype)).unflatten(-1, (3, -1, self.head_dim))
        q, k, v = heads.unbind(-3)  # [B, T, H, D]
        if self.table is not None and self.gate is not None:
            v = v + self.share(self.gate, x) * self.table(idx).to(x.dtype).unflatten(-1, v.shape[-2:])
        if self.gram_gate is not None and grams is not None:
            v = v + self.share(self.gram_gate, x) * grams.unflatten(-1, v.shape[-2:])
        q, k = rotate(norm(q), cos, sin), rotate(norm(k), cos, sin)  # in this order a compiler makes one pass of it
        return self.out(self.attend(q, k, v, self.window).flatten(2))

    def share(self, gate: Linear, x: torch.Tensor) -> torch.Tensor:
        """How much of what a table says each token and head gets: [B, T, H, 1], 1 at first."""
        return 2 * torch.sigmoid(gate(x[..., :GATE_CHANNELS])).unsqueeze(-1)


class MLP(nn.Module):
    """Two matrices with a nonlinearity between them."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        hidden = int(preset.mlp_ratio * preset.width)
        self.up = Linear(preset.width, hidden, preset.init_scale * preset.width**-0.5)
        self.down = Linear(hidden, preset.width, 0.0)
        self.activation = ACTIVATIONS[preset.activation]
        self.fused = preset.activation == "relu2" and bool(kernels.rivals(self.up.weight.device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fused:
            return linear_relu2.mlp(x, self.up.weight, self.down.weight)
        return self.down(self.activation(self.up(x)))


class Block(nn.Module):
    """Attention, then MLP, each reading the normalized stream and adding to it."""

    def __init__(self, *of_attention: Any) -> None:
        super().__init__()
        self.attention = Attention(*of_attention)
        self.mlp = MLP(of_attention[0])

    def forward(self, x: torch.Tensor, *beside: Any) -> torch.Tensor:
        x = x + self.attention(norm(x), *beside)
        return x + self.mlp(norm(x))


class GPT(nn.Module):
    """A decoder: int64 tokens [B, T] to fp32 logits [B, T, vocab_size], for T up to `seq_len`."""

    def __init__(self, preset: Preset, vocab_size: int, attend: attention.Attend, dtype: torch.dtype) -> None:
        super().__init__()
        self.preset, self.attend, self.dtype = preset, attend, dtype
        self.seq_len, self.softcap = preset.seq_len, preset.softcap
        self.embedding = nn.Embedding(vocab_size, preset.width)
        orders = {2: preset.bigram_rows, 3: preset.trigram_rows}
        self.grams = sparse_rows.Tables(orders, preset.width, dtype) if any(orders.values()) else None
        self.copied = sparse_rows.Copied(vocab_size, preset.width) if preset.copy_features else None
        first = preset.depth - preset.ngram_value_layers if self.grams else preset.depth
        self.blocks = nn.ModuleList(
            # Every other layer has value embeddings, counted from the last, where they help most.
            Block(preset, window, vocab_size if (preset.depth - layer) % 2 else None, attend, layer >= first)
            for layer, window in enumerate(windows(preset))
        )
        self.stream_scale = nn.Parameter(torch.ones(preset.depth))  # of the stream as it enters each block
        self.x0_scale = nn.Parameter(torch.full((preset.depth,), preset.x0_init))  # of the embedding added to it
        self.head = Linear(preset.width, vocab_size, 0.001)
        frequency = preset.rope_base ** -torch.arange(0, 1, 2 / preset.head_dim)
        angles = torch.outer(torch.arange(preset.seq_len), frequency)[:, None, None]
        gain = preset.query_gain**0.5  # of queries and of keys
        self.cos = nn.Buffer((gain * angles.cos()).to(dtype), persistent=False)  # [T, 1, 1, D / 2]
        self.sin = nn.Buffer((gain * torch.cat([-angles.sin(), angles.sin()], dim=2)).to(dtype), persistent=False)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        logits, cap = self.head(self.features(idx)).float(), self.softcap
        # cap * tanh(logits / cap), in half of tanh's time on a CPU
        return torch.sigmoid(logits * (2 / cap)) * (2 * cap) - cap if cap else logits

    def features(self, idx: torch.Tensor, grams: torch.Tensor | None = None) -> torch.Tensor:
        """What the head reads: the normalized stream after the last block, [B, T, width]. `grams` is what the n-gram
        tables say of `idx`, where it was looked up already, to be trained."""
        cos, sin = self.cos[: idx.shape[1]], self.sin[: idx.shape[1]]
        x = self.embedding(idx).to(self.dtype)
        if self.grams is not None:
            x = x + (grams := self.grams(idx) if grams is None else grams)
        if self.copied is not None:
            x = x + self.copied(idx).to(x.dtype)
        x = x0 = norm(x)
        stream_scale, x0_scale = self.stream_scale.to(x.dtype), self.x0_scale.to(x.dtype)
        for layer, block in enumerate(self.blocks):
            x = block(stream_scale[layer] * x + x0_scale[layer] * x0, idx, cos, sin, grams)
        return norm(x)

    def flops_per_token(self) -> float:
        """Floating point operations of one training token, forward and backward, counting only keys in the window."""
        matrices = sum(module.weight.numel() for module in self.modules() if isinstance(module, Linear))
        length = self.preset.seq_len
        keys = 0.0
        for window in windows(self.preset):
            reach = length if window < 0 else min(window + 1, length)
            keys += reach - reach * (reach - 1) / (2 * length)  # mean over the row, whose start sees fewer
        return 6 * matrices + 12 * self.preset.width * keys


def windows(preset: Preset) -> list[int]:
    """The attention window of each layer: keys to the left, -1 for all."""
    pattern = preset.window_pattern
    letters = [pattern[layer % len(pattern)] for layer in range(preset.depth - 1)] + ["L"]
    shares = {"S": preset.short_window, "L": preset.long_window if preset.long_window < 1 else None}
    return [-1 if (share := shares[letter]) is None else max(1, int(share * preset.seq_len)) for letter in letters]


def training_loss(
    model: GPT, inputs: torch.Tensor, targets: torch.Tensor, grams: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross entropy of `model(inputs)` in nats, without ever holding all logits. The model sees no targets."""
    features = model.features(inputs, grams).flatten(0, 1)
    return cross_entropy.head_loss(features, model.head.weight, targets.flatten(), model.softcap)


def load_model(folder: Path | str, device: torch.device | str) -> nn.Module:
    """Rebuild the model that a run saved in `folder`: int64 [B, T <= seq_len] to fp32 logits [B, T, vocab_size]."""
    device = torch.device(device)
    saved = torch.load(Path(folder) / "model.pt", map_location=device, weights_only=True)
    model = build_model(Preset(**saved["preset"]), saved["vocab_size"], device)
    model.load_state_dict(saved["state"])
    return model.eval()


def build_model(preset: Preset, vocab_size: int, device: torch.device) -> GPT:
    """A freshly drawn model on `device`."""
    bf16 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    dtype = torch.bfloat16 if bf16 else torch.float32  # bf16 is slower on MPS and on most CPUs
    attend = attention.choose(device, dtype, preset.head_dim)
    with device:
        return GPT(preset, vocab_size, attend, dtype)


# ---------------------------------------------------------------------------------------------------------------
# Optimizer
# ---------------------------------------------------------------------------------------------------------------

# The Polar Express (Amsel, Persson, Musco, Gower 2025, arXiv 2505.16932): the best odd quintic of each iteration.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)

Scalar = float | torch.Tensor  # on CUDA numbers that change with every step are tensors: compiled code takes any value


class Muon:
    """Momentum, orthogonalized (Jordan 2024), with NorMuon's row scaling and cautious decay.

    Parameters of one shape are updated together: they are views of one stack, so that no weight is ever copied.
    """

    def __init__(self, parameters: list[nn.Parameter], iterations: int, beta2: float, equalize: bool = False) -> None:
        self.coefficients, self.beta2, self.equalize = POLAR_EXPRESS[:iterations], beta2, equalize
        shapes = sorted({parameter.shape for parameter in parameters})
        self.groups = [[p for p in parameters if p.shape == shape] for shape in shapes]
        self.stacks = [torch.stack([parameter.data for parameter in group]) for group in self.groups]
        for group, stack in zip(self.groups, self.stacks, strict=True):
            for parameter, weight in zip(group, stack, strict=True):
                parameter.data = weight
        compiles = any(stack.is_cuda for stack in self.stacks)
        self.update = torch.compile(self.update_stack, dynamic=False) if compiles else self.update_stack
        self.reset()

    def reset(self) -> None:
        """Forget all momentum."""
        self.momenta = [torch.zeros_like(stack) for stack in self.stacks]
        self.squares = [torch.zeros_like(mean.narrow(short_side(mean), 0, 1)) for mean in self.momenta]

    @torch.no_grad()
    def step(self, lr: Scalar, momentum: Scalar, decay: Scalar) -> None:
        for group, weights, mean, square in zip(self.groups, self.stacks, self.momenta, self.squares, strict=True):
            # One pass over the gradients; to let autograd add them up in a stack would take two more.
            gradient = torch.stack([parameter.grad for parameter in group if parameter.grad is not None])
            self.update(weights, gradient, mean, square, lr, momentum, decay)

    def update_stack(
        self, weights: torch.Tensor, gradient: torch.Tensor, mean: torch.Tensor, square: torch.Tensor,
        lr: Scalar, momentum: Scalar, decay: Scalar,
    ) -> None:  # fmt: skip
        """Update stacked `weights` [N, rows, columns], and with them the momenta, in place."""
        mean.lerp_(gradient, 1 - momentum)
        update = gradient.lerp(mean, momentum)  # Nesterov
        if self.equalize:
            update = update / update.norm(dim=-1, keepdim=True).clamp_min(1e-10)
        update = polar.polar_express(update, self.coefficients)
        size = update.norm(dim=(-2, -1), keepdim=True)
        square.lerp_(update.square().mean(dim=short_side(update), keepdim=True), 1 - self.beta2)
        update = update * square.clamp_min(1e-10).rsqrt()
        update = update * (size / update.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-10))
        rate = lr * max(1.0, weights.shape[-2] / weights.shape[-1]) ** 0.5
        same_sign = (update * weights >= 0).to(weights.dtype)  # decay only where the update shrinks as well
        weights.sub_(rate * (update + decay * same_sign * weights))


def short_side(stack: torch.Tensor) -> int:
    """The shorter dimension of stacked matrices, over which NorMuon averages: what is scaled are the rows of tall and
    square ones and the columns of wide ones."""
    return -1 if stack.shape[-2] >= stack.shape[-1] else -2


@dataclass(frozen=True)
class Group:
    """Parameters that AdamW trains alike."""

    parameters: list[torch.Tensor]
    lr: float
    decay: float = 0.0
    beta1: float = 0.8
    beta2: float = 0.95


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    torch.optim.AdamW does the same, but imports the whole compiler first: two seconds of every run on a CPU.
    """

    def __init__(self, groups: list[Group]) -> None:
        self.groups = [group for group in groups if group.parameters]
        self.reset()

    def reset(self) -> None:
        """Forget all momentum."""
        self.states: dict[torch.Tensor, tuple[torch.Tensor, ...]] = {
            parameter: (torch.zeros_like(parameter), torch.zeros_like(parameter), parameter.new_zeros(()).float())
            for group in self.groups
            for parameter in group.parameters
        }

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Update the parameters that have a gradient, with `scale` times each group's learning rate."""
        for group in self.groups:
            trained: list[torch.Tensor] = [parameter for parameter in group.parameters if parameter.grad is not None]
            gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
            means, squares, steps = ([self.states[parameter][i] for parameter in trained] for i in range(3))
            adamw(
                trained, gradients, means, squares, [], steps,
                amsgrad=False, maximize=False, fused=group.parameters[0].device.type != "mps",
                lr=scale * group.lr, beta1=group.beta1, beta2=group.beta2, eps=1e-10, weight_decay=group.decay,
            )  # fmt: skip


class Optimizer:
    """Muon for the blocks' matrices, AdamW for everything else, on one schedule over the budget."""

    def __init__(self, model: GPT, preset: Preset) -> None:
        self.preset = preset
        apart: set[Any] = {model.embedding.weight, model.head.weight, model.x0_scale, model.stream_scale}
        others: list[nn.Parameter] = [parameter for parameter in model.parameters() if parameter not in apart]
        found: set[Any] = {module.weight for module in model.modules() if isinstance(module, nn.Embedding)}
        tables: list[torch.Tensor] = [parameter for parameter in others if parameter in found]
        matrices = [parameter for parameter in others if parameter not in found and parameter.ndim == 2]
        rest: list[torch.Tensor] = [p for p in others if p not in found and p.ndim != 2]  # whatever an edit adds
        scale, both = (preset.width / 768) ** -0.5, (preset.adam_beta1, preset.adam_beta2)
        of_tables = preset.embedding_lr * scale
        self.adam = AdamW([
            Group([model.embedding.weight], of_tables, preset.embedding_decay, both[0], preset.embedding_beta2),
            Group(tables, of_tables, preset.value_decay, both[0], preset.embedding_beta2),
            Group([model.head.weight], preset.head_lr * scale, preset.head_decay, *both),
            Group([model.x0_scale], preset.scalar_lr, 0.0, preset.x0_beta1, preset.adam_beta2),
            Group([model.stream_scale], 0.01 * preset.scalar_lr, 0.0, *both),  # it acts on all later layers at once
            Group(rest, 0.01 * preset.scalar_lr, 0.0, *both),
        ])  # fmt: skip
        start.check_trained(model.named_parameters(), [group.parameters for group in self.adam.groups] + [matrices])
        self.muon = Muon(matrices, preset.muon_steps, preset.muon_beta2, bool(preset.muon_equalize))
        self.model, self.steps = model, 0
        device = model.head.weight.device
        self.scalars = [torch.zeros((), device=device) for _ in range(3)] if device.type == "cuda" else []

    def reset(self) -> None:
        """Forget everything learned about gradients, as after a warm-up."""
        self.adam.reset()
        self.muon.reset()
        if self.model.grams is not None:
            self.model.grams.reset()
        self.steps = 0

    def step(self, progress: float) -> None:
        """Update all weights from their gradients, and clear those. `progress` is the share of the budget used."""
        scale = lr_scale(self.preset, progress)
        self.adam.step(scale)
        if self.model.grams is not None:
            self.model.grams.step(scale * self.preset.ngram_lr)
        numbers = scale * self.preset.matrix_lr, self.momentum(progress), self.preset.weight_decay * (1 - progress)
        if self.scalars:
            self.muon.step(*(scalar.fill_(number) for scalar, number in zip(self.scalars, numbers, strict=True)))
        else:
            self.muon.step(*numbers)
        self.model.zero_grad()
        self.steps += 1

    def momentum(self, progress: float) -> float:
        """Muon's momentum: up from 0.85 in the first steps, towards `momentum_end` in the warmdown."""
        full = self.preset.muon_momentum
        ramp = min(1.0, self.steps / max(1, self.preset.momentum_warmup))
        fall = max(0.0, 1 - (1 - progress) / self.preset.warmdown) if self.preset.warmdown else 0.0
        return full * ramp + min(0.85, full) * (1 - ramp) + fall * (self.preset.momentum_end - full)


def lr_scale(preset: Preset, progress: float) -> float:
    """The learning rate at `progress` (0 to 1) of the budget, as a share of its peak."""
    if progress < preset.warmup:
        return progress / preset.warmup
    if progress <= 1 - preset.warmdown:
        return 1.0
    left = (1 - progress) / preset.warmdown
    return left + (1 - left) * preset.final_lr


# ---------------------------------------------------------------------------------------------------------------
# The run
# ---------------------------------------------------------------------------------------------------------------

# GiB of a GPU, and into how many micro-batches a batch that fits 80 GB in bf16 is cut there.
MEMORY_PRESETS = ((70, 1), (35, 2), (22, 4), (14, 8), (0, 16))


def micro_batch_rows(preset: Preset, memory_gib: float | None, dtype: torch.dtype) -> int:
    """Rows that go through the model at once: as many as the memory holds, dividing a step's rows evenly."""
    rows = preset.total_batch_size // preset.seq_len
    most = preset.device_batch_size
    if memory_gib is not None:
        most //= next(parts for least, parts in MEMORY_PRESETS if memory_gib * 2 / dtype.itemsize >= least)
    return next(size for size in range(max(1, min(most, rows)), 0, -1) if rows % size == 0)


def check_preset(preset: Preset) -> None:
    """Refuse shapes that do not fit together, before anything is built."""
    problems = {
        f"total_batch_size {preset.total_batch_size} is no multiple of seq_len {preset.seq_len}": (
            preset.total_batch_size < 1 or preset.total_batch_size % preset.seq_len
        ),
        f"width {preset.width} is no multiple of head_dim {preset.head_dim}": preset.width % preset.head_dim,
        f"width {preset.width} is below {GATE_CHANNELS}": preset.width < GATE_CHANNELS,
        f"head_dim {preset.head_dim} is odd": preset.head_dim % 2,
        f"window_pattern {preset.window_pattern!r} is not made of S and L": not set(preset.window_pattern) <= {*"SL"},
        f"activation {preset.activation!r} is none of {', '.join(ACTIVATIONS)}": preset.activation not in ACTIVATIONS,
        f"muon_steps {preset.muon_steps} is not from 1 to {len(POLAR_EXPRESS)}": not (
            1 <= preset.muon_steps <= len(POLAR_EXPRESS)
        ),
        f"seq_len {preset.seq_len} is above {prepare.MAX_CONTEXT}": preset.seq_len > prepare.MAX_CONTEXT,
        f"ngram_value_layers {preset.ngram_value_layers} need bigram_rows or trigram_rows": (
            preset.ngram_value_layers and not (preset.bigram_rows or preset.trigram_rows)
        ),
    }
    for problem, found in problems.items():
        if found:
            raise harness.SetupError(f"the preset's {problem}")


def train(settings: harness.Settings) -> dict[str, Any]:
    """Train until the budget is spent. Returns the values of the `---` block, in order."""
    started = time.perf_counter()
    device = settings.device
    preset = settings.chosen(PRESETS)
    check_preset(preset)
    corpus = prepare.load_corpus()
    model = build_model(preset, corpus.vocab_size, device)
    optimizer = Optimizer(model, preset)
    loss_of = torch.compile(training_loss, dynamic=False) if device.type == "cuda" else training_loss
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"data: {prepare.describe(corpus)}")
    print(f"model: {parameters / 1e6:.2f}M parameters, {preset.depth} layers of width {preset.width}, on {device}")
    print(f"attention: {model.attend.name}: {model.attend.reason}")
    print(f"kernels: {kernels.describe(device)}", flush=True)
    settings.phases.mark("probes")
    most = micro_batch_rows(preset, harness.memory_gib(device), model.dtype)
    rows = start.fit(most, preset, lambda rows: warm_up(model, optimizer, loss_of, rows, corpus.vocab_size))
    settings.phases.mark("warm-up")
    print(f"start: {settings.phases}")
    micro_batches = preset.total_batch_size // (rows * preset.seq_len)
    loader = prepare.TrainLoader(corpus, rows, preset.seq_len, device, settings.seed)
    print(f"batch: {preset.total_batch_size} tokens, {micro_batches} x {rows} rows of {preset.seq_len}", flush=True)

    batch = next(loader)

    def step(progress: float) -> torch.Tensor:
        """Queue one optimizer step. Returns its mean loss on the device: nothing waits for it here."""
        nonlocal batch
        total = torch.zeros((), device=device)
        for _ in range(micro_batches):
            inputs, targets, _epoch = batch
            grams = () if model.grams is None else (model.grams.gather(inputs),)
            loss = loss_of(model, inputs, targets, *grams) / micro_batches
            loss.backward()
            total += loss.detach()
            batch = next(loader)  # packed while a GPU still works on the last one
        optimizer.step(progress)
        return total

    gc.collect()
    gc.freeze()  # a collection stalls the loop for up to half a second, and there are no cycles to collect
    gc.disable()

    journal = harness.Journal(settings)
    reader = harness.LossReader(device)
    clock = harness.BudgetClock(device, settings.budget)
    clock.start()
    steps = 0
    while not clock.spent:
        loss = reader.read(step(clock.progress))
        clock.lap()
        steps += 1
        if loss is not None:
            journal.write(steps, loss, clock)
    if (loss := reader.read(None)) is not None:  # the step that was still in the queue
        clock.lap()
        journal.write(steps, loss, clock)
    journal.close()

    peak = harness.peak_memory_mb(device)
    if settings.run_dir:
        save_model(model, corpus.vocab_size, settings.run_dir)
        measured = None
    else:
        answer = torch.compile(model.eval(), dynamic=False) if device.type == "cuda" else model.eval()
        measured = prepare.evaluate_bpb(answer, device, context=preset.seq_len, corpus=corpus)
    tokens = steps * preset.total_batch_size
    speed = tokens / clock.seconds
    mfu = harness.mfu_percent(speed * model.flops_per_token(), device)
    return {
        "val_bpb": measured and f"{measured.bpb:.6f}",
        "training_seconds": f"{clock.seconds:.1f}",
        "total_seconds": f"{time.perf_counter() - started:.1f}",
        "peak_vram_mb": f"{peak:.1f}",
        "mfu_percent": None if mfu is None else f"{mfu:.2f}",
        "total_tokens_M": f"{tokens / 1e6:.3f}",
        "num_steps": steps,
        "num_params_M": f"{parameters / 1e6:.2f}",
        "depth": preset.depth,
        "val_loss": measured and f"{measured.loss:.6f}",
        "tokens_per_second": f"{speed:.0f}",
        "attention": model.attend.name,
        "kernels": kernels.in_use(device),
        "device": device.type,
        "stalled": str(clock.stalled).lower(),
    }


def warm_up(model: GPT, optimizer: Optimizer, loss_of: Any, rows: int, vocab_size: int) -> None:
    """Compile and allocate everything outside the budget, with tokens drawn by lot, then put the model back as it was,
    also where the memory does not suffice: no step is free."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dice = torch.Generator().manual_seed(0)
    idx = torch.randint(vocab_size, (rows, model.seq_len + 1), generator=dice).to(model.head.weight.device)
    batch = idx[:, :-1].contiguous(), idx[:, 1:].contiguous(), 0
    try:
        for progress in (0.0, 1.0):
            inputs, targets, _epoch = batch
            grams = () if model.grams is None else (model.grams.gather(inputs),)
            loss_of(model, inputs, targets, *grams).backward()
            optimizer.step(progress)
    finally:
        model.zero_grad()
        model.load_state_dict(before)
        optimizer.reset()
    if idx.is_cuda:
        torch.cuda.synchronize()


def save_model(model: GPT, vocab_size: int, folder: Path) -> None:
    """Write model.pt for `load_model`; it appears only when complete."""
    partial = folder / "model.pt.part"
    state = {name: value.bfloat16() if ".rows" in name else value for name, value in model.state_dict().items()}
    torch.save({"preset": asdict(model.preset), "vocab_size": vocab_size, "state": state}, partial)
    partial.replace(folder / "model.pt")


if __name__ == "__main__":
    sys.exit(harness.run(train, attention, kernels, sparse_rows, start))
