"""autoresearch's `prepare` as far as its train.py imports it, on top of this repository's corpus, loader and metric.

The bench copies this file, as prepare.py, beside the train.py it measures; both then read the same tokens, and are
scored on the same targets by the same code. BENCH_ROOT is this repository, BENCH_CONTEXT the tokens of a row.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


def _ours() -> ModuleType:
    path = Path(os.environ["BENCH_ROOT"], "prepare.py")
    spec = importlib.util.spec_from_file_location("swarm_prepare", path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_prepare = _ours()
_corpus = _prepare.load_corpus()
_device = torch.device(os.environ["SWARM_DEVICE"])

MAX_SEQ_LEN = int(os.environ["BENCH_CONTEXT"])
TIME_BUDGET = _prepare.time_budget()
EVAL_TOKENS = _prepare.EVAL_TOKENS.get(_corpus.name, _prepare.DEFAULT_EVAL_TOKENS)


class Tokenizer:
    """What train.py asks of a tokenizer."""

    def __init__(self) -> None:
        self.encoding = _prepare.load_tokenizer(_corpus.folder)

    @classmethod
    def from_directory(cls, *_arguments: Any) -> Tokenizer:
        return cls()

    def get_vocab_size(self) -> int:
        return _corpus.vocab_size

    def get_bos_token_id(self) -> int:
        return _corpus.bos

    def encode(self, text: str, **_options: Any) -> list[int]:
        return self.encoding.encode_ordinary(text)

    def decode(self, tokens: list[int]) -> str:
        return self.encoding.decode(tokens)


def make_dataloader(_tokenizer: Tokenizer, rows: int, length: int, split: str, **_options: Any) -> Iterator[Any]:
    """Endless (inputs, targets, epoch) of the train split, as our own trainer reads them."""
    assert split == "train", "only training text can be read here; evaluate_bpb reads the rest"
    return iter(_prepare.TrainLoader(_corpus, rows, length, _device, 42))


def evaluate_bpb(model: Any, _tokenizer: Tokenizer, batch_size: int) -> float:
    """Our metric of a model that answers `model(idx)` with logits."""
    return _prepare.evaluate_bpb(model, _device, batch=min(batch_size, 16), context=MAX_SEQ_LEN, corpus=_corpus).bpb
