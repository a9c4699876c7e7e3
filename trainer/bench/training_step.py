"""A training step of a device's preset, which the bench measures whole and by its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

import prepare
from trainer import harness, train


@dataclass(frozen=True)
class TrainingStep:
    """What a step is made of: `count` micro-batches of `rows` rows each."""

    preset: train.Preset
    corpus: prepare.Corpus
    model: train.GPT
    optimizer: train.Optimizer
    loader: prepare.TrainLoader
    loss_of: Callable[..., torch.Tensor]
    rows: int
    count: int

    @classmethod
    def of(cls, device: torch.device) -> TrainingStep:
        """The step of this device's preset, with a new model."""
        preset, corpus = train.PRESETS[device.type], prepare.load_corpus()
        model = train.build_model(preset, corpus.vocab_size, device)
        rows = train.micro_batch_rows(preset, harness.memory_gib(device), model.dtype)
        return cls(
            preset,
            corpus,
            model,
            train.Optimizer(model, preset),
            prepare.TrainLoader(corpus, rows, preset.seq_len, device, 42),
            torch.compile(train.training_loss, dynamic=False) if device.type == "cuda" else train.training_loss,
            rows,
            preset.total_batch_size // (rows * preset.seq_len),
        )

    def compute(self) -> None:
        """Forward and backward of all micro-batches."""
        for _ in range(self.count):
            inputs, targets, _epoch = next(self.loader)
            grams = () if self.model.grams is None else (self.model.grams.gather(inputs),)
            (self.loss_of(self.model, inputs, targets, *grams) / self.count).backward()

    def __call__(self) -> None:
        self.compute()
        self.optimizer.step(0.1)
