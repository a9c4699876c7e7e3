"""A whole training step, by its parts, and the loader that feeds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional as F

import prepare
from trainer import harness, train
from trainer.bench.plain import PlainGPT, PlainOptimizer
from trainer.bench.rows import Row, milliseconds, missing, steady_milliseconds
from trainer.bench.training_step import TrainingStep


def step_rows(device: torch.device) -> Iterator[Row]:
    """Tokens per second of whole steps, their parts in ms, MFU and peak memory; on a CPU beside plain torch.nn."""
    step = TrainingStep.of(device)
    preset, corpus, model, loader, count = step.preset, step.corpus, step.model, step.loader, step.count
    step()  # what it compiles may take memory of its own
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if device.type != "cuda" and hasattr(torch.optim, "Muon") and set(preset.window_pattern) == {"L"}:
        whole, plain = _alternating(step, _plain_step(preset, corpus.vocab_size, device, loader, count), device)
        yield Row("step", "plain torch.nn, tokens/s", 1000 * preset.total_batch_size / plain, "tokens/s")
        note = f"{plain / whole:.2f} x plain torch.nn; aim 1.00"
    else:
        whole, note = steady_milliseconds(step, device), ""
    peak = harness.peak_memory_mb(device)  # now: the parts below hold gradients that a step has long dropped
    speed = 1000 * preset.total_batch_size / whole
    yield Row("step", "tokens/s", speed, "tokens/s", note)
    yield Row("step", "whole step", whole, "ms", f"{preset.total_batch_size} tokens, {count} x {step.rows} rows")
    yield Row(
        "step",
        "peak memory",
        peak,
        "MiB",
        "" if device.type == "cuda" else "of this process, what it did before included",
    )

    def compute_afresh() -> None:
        model.zero_grad()  # as a step leaves them: the first micro-batch adds to nothing
        step.compute()

    yield Row("step", "forward and backward", milliseconds(compute_afresh, device, 1.0), "ms")

    gradients = {parameter: parameter.grad for parameter in model.parameters()}

    def update() -> None:
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        step.optimizer.step(0.1)

    yield Row("step", "optimizer", milliseconds(update, device), "ms")
    mfu = harness.mfu_percent(speed * model.flops_per_token(), device)
    why = "aim 50; causal and windowed FLOPs"
    yield Row("step", "MFU", mfu, "%", why) if mfu is not None else missing("step", "MFU", "%")
    yield from _loader_rows(corpus, preset, speed)


def _plain_step(
    preset: train.Preset, vocab_size: int, device: torch.device, loader: prepare.TrainLoader, count: int
) -> Callable[[], None]:
    with device:
        model = PlainGPT(preset, vocab_size)
    optimizer = PlainOptimizer(model, preset)

    def step() -> None:
        for _ in range(count):
            inputs, targets, _epoch = next(loader)
            (F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()) / count).backward()
        optimizer.step()

    return step


def _alternating(ours: Callable[[], None], theirs: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Milliseconds of two functions, timed in turn, so that both meet the same moods of the machine."""
    times = [(milliseconds(ours, device), milliseconds(theirs, device)) for _ in range(3)]
    return min(time for time, _ in times), min(time for _, time in times)


def _loader_rows(corpus: prepare.Corpus, preset: train.Preset, speed: float) -> Iterator[Row]:
    """Packing on one core, in this preset's shape and in that of a GPU, against what training takes."""
    cpu = torch.device("cpu")
    shapes = {(p.device_batch_size, p.seq_len) for p in (preset, train.PRESETS["cuda"])}
    for rows, length in sorted(shapes):
        loader = prepare.TrainLoader(corpus, rows, length, cpu, 42)
        packed = 1000 * rows * length / milliseconds(lambda loader=loader: next(loader), cpu)
        note = f"{packed / speed:.1f} x training here; aim 3"
        yield Row("loader", f"packed, {rows} x {length}", packed, "tokens/s", note)
