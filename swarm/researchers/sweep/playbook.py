"""The playbook: what is worth turning in a small GPT's training, how far, and why. Tables, read by the sweep.

`RULES` are for knobs, by the names of constraints.canonical; `OPENINGS` are the best-known first moves by device. The
whys come from published nights on this very task and from measurements of the presets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swarm.project.knob_names import canonical
from swarm.researchers.sweep.families import family_rule
from swarm.researchers.sweep.knobs import Knob, Value
from swarm.researchers.sweep.rules import Grid, Rule, significant

LOG, LINEAR, POWER, WHOLE, CHOICE = Grid

# fmt: off
RULES: Mapping[str, Rule] = {
    # The model's shape trades quality per token against tokens per budget.
    "depth": Rule("architecture", WHOLE, 1, 48, step=1, weight=1.2,
        up="A deeper model learns more from each token, if the budget still allows enough steps.",
        down="A shallower model makes more steps in the same budget, and short budgets are starved of steps."),
    "width": Rule("architecture", LOG, 32, 8192, step=1.34, weight=1.2,
        up="A wider model uses the hardware better than a deeper one of the same cost.",
        down="A narrower model makes more steps in the same budget."),
    "aspect_ratio": Rule("architecture", LOG, 8, 256, step=1.2, weight=0.8,
        up="Width per layer is the cheaper half of model size: matrix products get denser.",
        down="A narrower model makes more steps in the same budget."),
    "mlp_ratio": Rule("architecture", WHOLE, 1, 8, step=1, weight=0.7,
        up="The MLP holds most of what a small model knows.",
        down="A smaller MLP makes steps cheaper; the attention keeps its size."),
    "head_dim": Rule("attention", POWER, 8, 256, step=2, weight=0.6,
        up="Fewer, wider heads: each one can match on more features.",
        down="More, narrower heads: more places to look at in one layer."),
    "n_kv_head": Rule("attention", POWER, 1, 64, step=2, weight=0.3,
        up="More key and value heads restore quality that sharing costs.",
        down="Shared keys and values make attention cheaper."),
    "window_pattern": Rule("attention", CHOICE, weight=0.7,
        choices=("L", "SL", "SSL", "SSSL", "SSSSL", "S"),
        up="The mix of short and long windows trades context against the cost of attention."),
    "short_window": Rule("attention", POWER, 1 / 32, 1, step=2, weight=0.6,
        up="A longer short window sees more context in the cheap layers.",
        down="A shorter window is cheaper, and most of what predicts a token is near."),
    "rope_base": Rule("attention", LOG, 100, 1e6, step=4, weight=0.8,
        up="A larger rotary base keeps distant positions apart more smoothly; 10k -> 200k paid on the H100 night.",
        down="A smaller rotary base resolves near positions better, and short sequences need no more."),
    "long_window": Rule("attention", POWER, 1 / 32, 1, step=2, weight=0.4,
        up="A longer window sees more context where it is looked for.",
        down="Half the row is cheaper, and seldom missed."),
    "query_gain": Rule("attention", LOG, 0.25, 8, step=1.25, weight=0.6,
        up="Normalized queries and keys attend too softly; sharper scores let a head pick one token.",
        down="Softer scores mix more of the context."),
    # What is looked up beside each token's embedding: capacity that costs hardly any arithmetic.
    "bigram_rows": Rule("embedding", LINEAR, 0, 2**26, step=2**14, weight=0.9,
        up="Pairs of tokens carry most of the easy statistics; a hashed table serves them without any layer's work.",
        down="A smaller table is visited more often in each of its rows."),
    "trigram_rows": Rule("embedding", LINEAR, 0, 2**26, step=2**14, weight=0.6,
        up="Three tokens say more than two, where rows enough keep them apart.",
        down="Trigrams are rare in a short run, and their rows stay raw."),
    "ngram_value_layers": Rule("embedding", WHOLE, 0, 48, step=1, weight=0.3,
        up="What the tables say can be attended to, in the late layers.",
        down="The stream carries what the tables say already."),
    "ngram_lr": Rule("embedding", LOG, 1e-3, 10, step=1.7, weight=0.4,
        up="Rows with few visits have to learn from each.",
        down="Frequent rows may be jumping about."),
    "copy_features": Rule("embedding", WHOLE, 0, 1, step=1, weight=1.2,
        up="What followed when these tokens stood here before is the best guess of a small model, and is looked up.",
        down="Without the look-up steps are cheaper."),
    # Batch and sequence: how the budget is cut into steps.
    "total_batch_size": Rule("batch", POWER, 64, 2**24, step=2, weight=1.5,
        up="Larger steps have less noise in their gradients and use the hardware better.",
        down="Smaller steps mean more of them; halving the batch was the largest win of the H100 night."),
    "device_batch_size": Rule("batch", POWER, 1, 1024, step=2, weight=0.3,
        up="A larger micro-batch runs fewer, larger kernels for the same step.",
        down="A smaller micro-batch stays in cache."),
    "seq_len": Rule("batch", POWER, 16, 2048, step=2, weight=0.9,
        up="Longer sequences give every token more context.",
        down="Shorter sequences make attention cheaper and put more different text into a step."),
    # Learning rates.
    "matrix_lr": Rule("learning rate", LOG, 1e-4, 1, step=1.5, weight=1.2,
        up="Few steps want large ones: the matrices may still be far from where they settle.",
        down="A smaller rate settles deeper at the end of the schedule."),
    "embedding_lr": Rule("learning rate", LOG, 1e-4, 10, step=1.5, weight=1.1,
        up="Rare tokens get few updates, so embeddings bear a higher rate; 0.6 -> 0.9 paid on the H100 night.",
        down="Embeddings of frequent tokens may be jumping about."),
    "head_lr": Rule("learning rate", LOG, 1e-5, 1, step=1.5, weight=0.9,
        up="The output head sets the logits' scale and can learn faster than the body.",
        down="A calmer head lets the body settle."),
    "scalar_lr": Rule("learning rate", LOG, 1e-4, 10, step=1.7, weight=0.5,
        up="The residual scalars have few steps in which to find their values.",
        down="The residual scalars steer whole layers and may be swinging."),
    # Schedule.
    "warmup": Rule("schedule", LINEAR, 0, 0.4, step=0.05, weight=0.4,
        up="A ramp keeps the first steps from throwing the weights far away.",
        down="Warm-up spends budget at a low rate; every warm-up lost on the H100 night."),
    "warmdown": Rule("schedule", LINEAR, 0, 1, step=0.15, weight=1.1,
        up="A longer decay averages out more gradient noise; 0.5 -> 0.75 paid on the H100 night.",
        down="A shorter decay spends more of the budget at the full rate."),
    "final_lr": Rule("schedule", LINEAR, 0, 0.5, step=0.05, weight=0.7,
        up="The last steps still teach something if the rate does not fall to nothing.",
        down="Decaying to nothing squeezes out the last of the gradient noise."),
    # Regularization.
    "weight_decay": Rule("regularization", LOG, 0, 2, step=2, weight=0.7,
        up="Decay keeps the matrices' scale, and so the effective rate, in check.",
        down="A short run sees each token once and has little to regularize."),
    "embedding_decay": Rule("regularization", LOG, 0, 0.5, step=3, weight=0.4,
        up="A little decay tames the embeddings of rare tokens.",
        down="Rare tokens' embeddings shrink between their updates."),
    "head_decay": Rule("regularization", LOG, 0, 0.5, step=3, weight=0.4,
        up="A little decay on the head keeps logits calibrated.",
        down="Decay holds back the head's scale."),
    "value_decay": Rule("regularization", LOG, 0, 0.5, step=3, weight=0.4,
        up="Value embeddings are the largest table and overfit first.",
        down="Decay shrinks values of rare tokens between their updates."),
    "softcap": Rule("regularization", LOG, 5, 60, step=1.4, weight=0.5,
        up="A looser cap lets confident predictions be confident.",
        down="A tighter cap smooths the loss of an undertrained model."),
    # Optimizer.
    "adam_beta1": Rule("optimizer", LINEAR, 0.5, 0.98, step=0.08, weight=0.5,
        up="More momentum averages gradients over more steps.",
        down="Short runs react faster with less momentum."),
    "adam_beta2": Rule("optimizer", LINEAR, 0.8, 0.999, step=0.03, weight=0.5,
        up="A longer memory steadies the step size of rarely updated rows.",
        down="A shorter memory follows the gradients' falling scale."),
    "embedding_beta2": Rule("optimizer", LINEAR, 0.8, 0.999, step=0.03, weight=0.4,
        up="Rows of rare tokens are met seldom; a longer memory steadies their steps.",
        down="A shorter memory follows the gradients' falling scale."),
    "x0_beta1": Rule("optimizer", LINEAR, 0.5, 0.99, step=0.08, weight=0.2,
        up="The x0 scales act on every token: their gradient is worth averaging longer.",
        down="Short runs react faster with less momentum."),
    "muon_beta2": Rule("optimizer", LINEAR, 0.7, 0.99, step=0.05, weight=0.4,
        up="The rows' sizes are steadier over more steps.",
        down="In few steps the rows' sizes change faster than a long memory knows."),
    "momentum_end": Rule("optimizer", LINEAR, 0.6, 0.99, step=0.05, weight=0.4,
        up="Momentum through the warmdown averages out more noise.",
        down="Small last steps want fresh gradients."),
    "muon_equalize": Rule("optimizer", WHOLE, 0, 1, step=1, weight=0.4,
        up="Rows of equal length before the orthogonalization let quiet neurons learn as fast as loud ones.",
        down="The lengths of the rows say how much there is to learn."),
    "muon_momentum": Rule("optimizer", LINEAR, 0.7, 0.99, step=0.04, weight=0.6,
        up="More momentum smooths small-batch gradients before they are orthogonalised.",
        down="Less momentum turns faster, which a run of few steps needs."),
    "momentum_warmup": Rule("optimizer", POWER, 1, 2000, step=2, weight=0.5,
        up="Full momentum averages over steps whose gradients soon mean nothing; it can come later.",
        down="Few steps leave no time to ramp momentum up slowly."),
    "muon_steps": Rule("optimizer", WHOLE, 1, 5, step=1, weight=0.5,
        up="More iterations orthogonalise the update more exactly.",
        down="Fewer iterations make the step cheaper, and the update need not be exactly orthogonal."),
    # Initialization.
    "init_scale": Rule("initialization", LOG, 0.05, 5, step=1.4, weight=0.7,
        up="Larger initial weights break symmetry sooner.",
        down="Smaller initial weights leave the residual stream clean at first; 0.68 paid on the H100 night."),
    "x0_init": Rule("initialization", LINEAR, 0, 1, step=0.05, weight=0.5,
        up="More of the token's own embedding reaches every layer from the start.",
        down="Less of the raw embedding leaves more room to the layers; 0.1 -> 0.05 paid on the H100 night."),
    "activation": Rule("activation", CHOICE, weight=0.8,
        choices=("relu2", "gelu", "silu"),
        up="The shape of the nonlinearity decides how sparse and how smooth a layer is."),
}
# fmt: on


def rule_for(name: str, value: Value) -> Rule | None:
    """The playbook's rule for a knob of this name and value, None where it has none.

    A number out of its rule's range is another thing of that name, in another project.
    """
    rule = RULES.get(canonical(name))
    if rule is None or isinstance(value, bool) or isinstance(value, str) != (rule.grid is CHOICE):
        return None
    return rule if isinstance(value, str) or rule.low <= value <= rule.high else None


def rule_of(knob: Knob) -> Rule | None:
    """How a knob may be turned: by the playbook, else by what its name and its file say; None where neither tells."""
    return rule_for(knob.name, knob.value) or family_rule(knob.literal)


# ---------------------------------------------------------------------------------------------------------------
# Openings


@dataclass(frozen=True, slots=True)
class Turn:
    """A first move: one knob by a factor, by a difference, or to a word."""

    knob: str
    times: float = 1.0
    plus: float = 0.0
    to: str = ""

    def apply(self, value: Value) -> Value:
        """The knob's new value, in the type of the old one."""
        if isinstance(value, str):
            return self.to or value
        wanted = value * self.times + self.plus
        return round(wanted) if isinstance(value, int) else significant(wanted)


# The best-known first moves, best first; a name in place of a Turn is the title of a structural patch. A device that
# is not named here opens as "cuda".
OPENINGS: Mapping[str, tuple[Turn | str, ...]] = {
    # What a published night on one H100 kept and what it left untried, by expected gain; not measured here.
    "cuda": (
        "embedding of hashed token pairs",
        Turn("total_batch_size", times=1 / 2),
        Turn("warmdown", plus=0.15),
        Turn("embedding_lr", times=1.33),
        Turn("head_lr", times=1.5),
        "queries and keys scaled by 1.2 after the norm",
        Turn("depth", plus=1),
        Turn("rope_base", times=20),
        Turn("final_lr", plus=0.05),
        Turn("short_window", times=1 / 2),
        Turn("window_pattern", to="SSSSL"),
        Turn("matrix_lr", times=1.25),
        Turn("x0_init", times=1 / 2),
        Turn("init_scale", times=0.85),
        Turn("muon_momentum", plus=0.02),
    ),
    # Few slow steps: what makes steps cheaper or more of them; not measured here.
    "mps": (
        "embedding of hashed token pairs",
        Turn("total_batch_size", times=1 / 2),
        Turn("depth", plus=-1),
        Turn("matrix_lr", times=1.5),
        Turn("seq_len", times=1 / 2),
        "value embeddings in every layer",
        Turn("embedding_lr", times=1.5),
        Turn("warmdown", plus=0.15),
        Turn("muon_steps", plus=-1),
        Turn("final_lr", plus=0.05),
    ),
    # Measured from the cpu preset, 10 CPU-seconds, two seeds, noise of such a mean about 0.02 bpb: the first four gain
    # 0.04, 0.03, 0.03 and 0.03 each and most of it adds up; then it is within noise; the last ones lose up to 0.05,
    # and are what longer budgets ask for first. A longer warmdown was level or worse: the schedule's only move is last.
    "cpu": (
        # 20 and 60 CPU-seconds, paired seeds (trainer/README.md): by three standard errors and more at the longer one.
        # The first gains 0.25 bpb, the next two 0.03 to 0.05 at one of them, the last 0.002.
        Turn("copy_features", plus=1),
        Turn("total_batch_size", times=1 / 2),
        "embedding of hashed token pairs",
        Turn("momentum_end", plus=-0.1),
        Turn("depth", plus=-1),
        Turn("seq_len", times=1 / 2),
        Turn("matrix_lr", times=1.5),
        "value embeddings in every layer",
        "AdamW for the matrices as well",
        Turn("muon_steps", plus=-2),
        "embedding mixed with the predecessor's",
        Turn("width", times=1 / 2),
        Turn("embedding_lr", times=1.5),
        Turn("width", times=1.5),
        Turn("warmdown", plus=0.2),
    ),
}
