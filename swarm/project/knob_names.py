"""What knobs are called, whatever their file calls them."""

from __future__ import annotations

# autoresearch's names for knobs that this project's train.py calls otherwise.
_ALIASES = {
    "unembedding_lr": "head_lr",
    "warmup_ratio": "warmup",
    "warmdown_ratio": "warmdown",
    "final_lr_frac": "final_lr",
    "adam_betas[0]": "adam_beta1",
    "adam_betas[1]": "adam_beta2",
    "max_seq_len": "seq_len",
}


def canonical(name: str) -> str:
    """The name under which the playbook and prior art know a knob."""
    return _ALIASES.get(name.lower(), name.lower())
