"""The model of train.py in plain torch.nn, with torch's own optimizers: what its speed is measured against."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from trainer import train


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """train.rotate as it is usually written, cos and sin [T, 1, D / 2]."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class PlainBlock(nn.Module):
    """Attention and MLP as anybody would write them."""

    def __init__(self, preset: train.Preset, value_vocab: int | None) -> None:
        super().__init__()
        width, hidden = preset.width, int(preset.mlp_ratio * preset.width)
        self.head_dim, self.heads = preset.head_dim, width // preset.head_dim
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)
        self.table = nn.Embedding(value_vocab, width) if value_vocab else None
        self.gate = nn.Linear(train.GATE_CHANNELS, self.heads, bias=False) if value_vocab else None

    def forward(self, x: torch.Tensor, idx: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        y = F.rms_norm(x, (width,))
        q, k, v = (m(y).view(batch, length, self.heads, self.head_dim) for m in (self.query, self.key, self.value))
        if self.table is not None and self.gate is not None:
            share = 2 * torch.sigmoid(self.gate(y[..., : train.GATE_CHANNELS]))
            v = v + share.unsqueeze(-1) * self.table(idx).view(v.shape)
        q, k = (rotate(F.rms_norm(t, (self.head_dim,)), cos, sin) for t in (q, k))
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(out.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.relu(self.up(F.rms_norm(x, (width,)))).square())


class PlainGPT(nn.Module):
    """The same function as train.GPT with full windows: int64 [B, T] to fp32 logits [B, T, vocab_size]."""

    def __init__(self, preset: train.Preset, vocab_size: int) -> None:
        super().__init__()
        self.softcap = preset.softcap
        self.embedding = nn.Embedding(vocab_size, preset.width)
        self.blocks = nn.ModuleList(
            PlainBlock(preset, vocab_size if (preset.depth - layer) % 2 else None) for layer in range(preset.depth)
        )
        self.stream_scale = nn.Parameter(torch.ones(preset.depth))
        self.x0_scale = nn.Parameter(torch.full((preset.depth,), preset.x0_init))
        self.head = nn.Linear(preset.width, vocab_size, bias=False)
        frequency = preset.rope_base ** -torch.arange(0, 1, 2 / preset.head_dim)
        angles = torch.outer(torch.arange(preset.seq_len), frequency)[:, None]
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = x0 = F.rms_norm(self.embedding(idx), (self.embedding.embedding_dim,))
        for layer, block in enumerate(self.blocks):
            x = block(self.stream_scale[layer] * x + self.x0_scale[layer] * x0, idx, self.cos, self.sin)
        logits = self.head(F.rms_norm(x, (x.shape[-1],)))
        return self.softcap * torch.tanh(logits / self.softcap)


class PlainOptimizer:
    """torch.optim.Muon for the blocks' matrices, AdamW for everything else."""

    def __init__(self, model: PlainGPT, preset: train.Preset) -> None:
        inner = dict(model.blocks.named_parameters())
        matrices = [p for name, p in inner.items() if "table" not in name and "gate" not in name]
        chosen = {id(parameter) for parameter in matrices}
        others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
        self.parts = [torch.optim.Muon(matrices, lr=preset.matrix_lr), torch.optim.AdamW(others, fused=True)]

    def step(self) -> None:
        for part in self.parts:
            part.step()
            part.zero_grad()
