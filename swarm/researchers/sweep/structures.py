"""The structural part of the playbook: what to change in the code itself, for train.py and for autoresearch's.

Where a patch says "the H100 night", it means the published run of 125 experiments on one H100.
"""

from __future__ import annotations

from collections.abc import Mapping

from swarm.researchers.sweep.patches import Exchange, Insertion, Patch

_BIGRAM = '''
class PairEmbedding(nn.Embedding):
    """An embedding of each token, plus one of the token with its predecessor, hashed into a larger table."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__(tokens, width)
        self.pairs = nn.Embedding(5 * tokens, width)
        nn.init.zeros_(self.pairs.weight)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        before = F.pad(idx[:, :-1], (1, 0))
        return super().forward(idx) + self.pairs((before * 36_313 + idx) % self.pairs.num_embeddings)
'''

_OFFSET = '''
def offset(keys: torch.Tensor) -> torch.Tensor:
    """Keys [B, T, H, D] with the slower half of their rotations from the predecessor: what a token came after."""
    now = keys.unflatten(-1, (2, 2, -1))  # halves of a rotation, fast and slow ones
    before = F.pad(now[:, :-1, ..., 1:, :], (0, 0, 0, 0, 0, 0, 0, 0, 1, 0))
    return torch.cat([now[..., :1, :], before], dim=-2).flatten(-3)
'''

_CUT_ROWS = '''
def cut_rows(batch: tuple[torch.Tensor, torch.Tensor, int], progress: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of a batch, every row cut into two in the first third of the budget."""
    pieces = 2 if progress < 1 / 3 else 1
    return batch[0].unflatten(1, (pieces, -1)).flatten(0, 1), batch[1].unflatten(1, (pieces, -1)).flatten(0, 1)
'''

_COOLDOWNS = ("(1 - progress) / preset.warmdown", "(1.0 - progress) / WARMDOWN_RATIO")

PATCHES: tuple[Patch, ...] = (
    # Activation: this project's own train.py has it as a knob.
    Patch(
        "relu squared becomes gelu",
        "activation",
        "A smooth activation passes gradient below zero, at a little more cost.",
        ((Exchange("F.relu(x).square()", "F.gelu(x)", "MLP"),),),
    ),
    Patch(
        "relu squared becomes silu",
        "activation",
        "A smooth activation passes gradient below zero, at a little more cost.",
        ((Exchange("F.relu(x).square()", "F.silu(x)", "MLP"),),),
    ),
    # Normalization.
    Patch(
        "queries and keys without norm",
        "normalization",
        "Without the norm the model chooses how sharply to attend, and two operations are saved.",
        (
            (
                Exchange("rotate(norm(q), cos, sin)", "rotate(q, cos, sin)", "Attention"),
                Exchange("rotate(norm(k), cos, sin)", "rotate(k, cos, sin)", "Attention"),
            ),
            (Exchange("norm(q), norm(k)", "q, k"),),
        ),
        weight=0.3,
    ),
    Patch(
        "queries and keys scaled by 1.2 after the norm",
        "normalization",
        "Normalized queries and keys attend too softly; sharper scores let a head pick one token.",
        (
            (
                Exchange("rotate(norm(q), cos, sin)", "1.2 * rotate(norm(q), cos, sin)", "Attention"),
                Exchange("rotate(norm(k), cos, sin)", "1.2 * rotate(norm(k), cos, sin)", "Attention"),
            ),
            (Exchange("norm(q), norm(k)", "1.2 * norm(q), 1.2 * norm(k)"),),
        ),
        weight=0.7,
    ),
    Patch(
        "logits without softcap",
        "normalization",
        "The cap bends every logit; a short run has no runaway logits to tame.",
        (
            (Exchange("torch.sigmoid(logits * (2 / cap)) * (2 * cap) - cap if cap else logits", "logits", "GPT"),),
            (Exchange("softcap * torch.tanh(logits / softcap)", "logits"),),
        ),
    ),
    # Embedding.
    Patch(
        "embedding of hashed token pairs",
        "embedding",
        "Pairs of tokens carry most of the easy statistics; a hashed table serves them without any layer's work.",
        (
            (
                Insertion("GPT", _BIGRAM),
                Exchange(
                    "self.embedding = nn.Embedding(vocab_size, preset.width)",
                    "self.embedding = PairEmbedding(vocab_size, preset.width)",
                    "GPT",
                ),
            ),
        ),
        weight=0.9,
    ),
    Patch(
        "embedding mixed with the predecessor's",
        "embedding",
        "Half a bigram for free: every position also sees the token before it, before the first layer.",
        (
            (
                Exchange(
                    "self.embedding(idx)",
                    "((e := self.embedding(idx)) + 0.25 * F.pad(e[:, :-1], (0, 0, 1, 0)))",
                    "GPT",
                ),
            ),
        ),
        weight=0.7,
    ),
    Patch(
        "value embeddings in every layer",
        "embedding",
        "Looked-up values are capacity that costs hardly any arithmetic.",
        (
            (Exchange("vocab_size if (preset.depth - layer) % 2 else None", "vocab_size", "GPT"),),
            (Exchange("layer_idx % 2 == (n_layer - 1) % 2", "True"),),
        ),
    ),
    Patch(
        "no value embeddings",
        "embedding",
        "Their tables are the largest part of the model; without them steps are cheaper.",
        (
            (Exchange("vocab_size if (preset.depth - layer) % 2 else None", "None", "GPT"),),
            (Exchange("layer_idx % 2 == (n_layer - 1) % 2", "False"),),
        ),
    ),
    # Architecture.
    Patch(
        "keys with half of their predecessor's, where a layer sees all",
        "architecture",
        "A head that looks for what followed a token needs two layers; a shifted half of the key shows it in one.",
        (
            (
                Insertion("Attention", _OFFSET),
                Exchange(
                    "rotate(norm(k), cos, sin)",
                    "offset(rotate(norm(k), cos, sin)) if self.window < 0 else rotate(norm(k), cos, sin)",
                    "Attention",
                ),
            ),
        ),
        weight=0.7,
    ),
    Patch(
        "attention and MLP in parallel",
        "architecture",
        "Both read the same stream, so one norm and one wait are saved; it lost on the H100 night.",
        (
            (
                Exchange("x + self.mlp(norm(x))", "x", "Block"),
                Exchange(
                    "x + self.attention(norm(x), *beside)",
                    "x + self.attention((y := norm(x)), *beside) + self.mlp(y)",
                    "Block",
                ),
            ),
        ),
        weight=0.2,
    ),
    # Schedule.
    Patch(
        "warmdown along a smooth curve",
        "schedule",
        "A cosine-like decay stays near the peak longer and lands softly.",
        tuple((Exchange(cooldown, f"(share := {cooldown}) * share * (3 - 2 * share)"),) for cooldown in _COOLDOWNS),
    ),
    Patch(
        "warmdown along one minus a square root",
        "schedule",
        "Falling fast first leaves more of the budget at the small rates where noise averages out.",
        tuple((Exchange(cooldown, f"1 - max(0.0, 1 - {cooldown}) ** 0.5"),) for cooldown in _COOLDOWNS),
    ),
    Patch(
        "steps of half the tokens in the first third",
        "schedule",
        "Early gradients agree with each other, so twice as many smaller steps learn more from the same tokens.",
        (
            (
                Exchange(
                    "micro_batch_rows(preset, harness.memory_gib(device), model.dtype)",
                    "min(micro_batch_rows(preset, harness.memory_gib(device), model.dtype), "
                    "max(1, preset.total_batch_size // preset.seq_len // 2))",
                    "train",
                ),
                Exchange(
                    "range(micro_batches)",
                    "range(parts := max(1, micro_batches // 2) if progress < 1 / 3 else micro_batches)",
                    "train",
                ),
                Exchange(
                    "loss_of(model, inputs, targets, *grams) / micro_batches",
                    "loss_of(model, inputs, targets, *grams) / parts",
                ),
                Exchange("steps * preset.total_batch_size", "prepare.TrainLoader.tokens_handed_out", "train"),
            ),
        ),
        weight=0.7,
    ),
    Patch(
        "rows of half the length in the first third",
        "schedule",
        "What a fresh model learns first is local, and short rows are cheaper; both lengths are compiled beforehand.",
        (
            (
                Insertion("train", _CUT_ROWS),
                Exchange("inputs, targets, _epoch = batch", "inputs, targets = cut_rows(batch, progress)", "train"),
                Exchange("inputs, targets, _epoch = batch", "inputs, targets = cut_rows(batch, progress)", "warm_up"),
                Exchange("(0.0, 1.0)", "(0.0, 0.0, 1.0, 1.0)", "warm_up"),
            ),
        ),
        weight=0.7,
    ),
    # Regularization.
    Patch(
        "weight decay constant over the run",
        "regularization",
        "Decay that fades leaves the late weights free; constant decay keeps pulling them in.",
        ((Exchange("self.preset.weight_decay * (1 - progress)", "self.preset.weight_decay", "Optimizer"),),),
        weight=0.3,
    ),
    Patch(
        "weight decay without the cautious mask",
        "regularization",
        "Plain decay everywhere; removing the mask lost on the H100 night.",
        ((Exchange("(update * weights >= 0).to(weights.dtype)", "torch.ones_like(weights)", "Muon"),),),
        weight=0.2,
    ),
    # Optimizer.
    Patch(
        "Muon without Nesterov momentum",
        "optimizer",
        "The plain momentum is smoother than the look-ahead, which weighs the newest noisy gradient more.",
        ((Exchange("gradient.lerp(mean, momentum)", "mean", "Muon"),),),
        weight=0.3,
    ),
    Patch(
        "Muon with half the row scaling",
        "optimizer",
        "The orthogonalized update is nearly even already; the full second moment per row may overdo it.",
        ((Exchange("square.clamp_min(1e-10).rsqrt()", "square.clamp_min(1e-10) ** -0.25", "Muon"),),),
        weight=0.3,
    ),
    Patch(
        "AdamW for the matrices as well",
        "optimizer",
        "Orthogonalizing costs a good part of a small model's step; AdamW makes more steps in the same budget.",
        (
            (
                Exchange(
                    "Group(rest, 0.01 * preset.scalar_lr, 0.0, *both)",
                    "Group(rest + matrices, preset.head_lr * scale, 0.0, *both)",
                    "Optimizer",
                ),
                Exchange(
                    "[group.parameters for group in self.adam.groups] + [matrices]",
                    "[group.parameters for group in self.adam.groups]",
                    "Optimizer",
                ),
                Exchange(
                    "Muon(matrices, preset.muon_steps, preset.muon_beta2, bool(preset.muon_equalize))",
                    "Muon([], preset.muon_steps, preset.muon_beta2, bool(preset.muon_equalize))",
                    "Optimizer",
                ),
            ),
        ),
        weight=0.6,
    ),
    # Initialization.
    Patch(
        "head starts at zero",
        "initialization",
        "An exactly uniform first prediction wastes no step on unlearning noise.",
        ((Exchange("Linear(preset.width, vocab_size, 0.001)", "Linear(preset.width, vocab_size, 0.0)", "GPT"),),),
        weight=0.3,
    ),
    Patch(
        "embedding starts at a tenth",
        "initialization",
        "The stream is normalized anyway: small embeddings only turn faster.",
        (
            (
                Exchange(
                    "nn.Embedding(vocab_size, preset.width)",
                    "nn.Embedding.from_pretrained(0.1 * torch.randn(vocab_size, preset.width), freeze=False)",
                    "GPT",
                ),
            ),
        ),
        weight=0.5,
    ),
    Patch(
        "matrices that write to the stream start small, not at zero",
        "initialization",
        "From zero, the matrices before them get no gradient in the first step.",
        (
            (
                Exchange("Linear(width, width, 0.0)", "Linear(width, width, std / 4)", "Attention"),
                Exchange("Linear(hidden, preset.width, 0.0)", "Linear(hidden, preset.width, hidden**-0.5 / 4)", "MLP"),
            ),
        ),
        weight=0.4,
    ),
)

BY_TITLE: Mapping[str, Patch] = {patch.title: patch for patch in PATCHES}
