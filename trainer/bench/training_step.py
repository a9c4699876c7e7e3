"""A training step of a device's preset, which the bench measures whole and by its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import torch

import prepare
from trainer import harness, train


def changed(preset: train.Preset, settings: list[str]) -> train.Preset:
    """A preset with some of its numbers set by `name=value`.

    Raises:
        SetupError: a name or a value is none of a preset's, or they do not fit together.
    """
    types = {field.name: type(getattr(preset, field.name)) for field in fields(preset)}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in types:
            raise harness.SetupError(f"--set {setting}: a preset has {', '.join(types)}")
        try:
            preset = replace(preset, **{name: types[name](value)})
        except ValueError:
            raise harness.SetupError(f"--set {setting}: {value!r} is no {types[name].__name__}") from None
    train.check_preset(preset)
    return preset


@contextmanager
def preset_of(device: torch.device, settings: list[str]) -> Iterator[None]:
    """Let the preset of a device have other numbers while the context lasts."""
    plain = train.PRESETS[device.type]
    train.PRESETS[device.type] = changed(plain, settings)
    try:
        yield
    finally:
        train.PRESETS[device.type] = plain


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
