"""The whole trainer: a step by its parts, the loader, start-up, the referee's pass, and trainers side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional as F

import prepare
from trainer import harness, train
from trainer.bench.plain import PlainGPT, PlainOptimizer
from trainer.bench.rows import Row, milliseconds, missing

ROOT = Path(__file__).resolve().parents[2]


def step_rows(device: torch.device) -> Iterator[Row]:
    """Tokens per second of whole steps, their parts in ms, MFU and peak memory; on a CPU beside plain torch.nn."""
    preset, corpus = train.PRESETS[device.type], prepare.load_corpus()
    model = train.build_model(preset, corpus.vocab_size, device)
    optimizer = train.Optimizer(model, preset)
    rows = train.micro_batch_rows(preset, harness.memory_gib(device), model.dtype)
    count = preset.total_batch_size // (rows * preset.seq_len)
    loader = prepare.TrainLoader(corpus, rows, preset.seq_len, device, 42)
    loss_of = torch.compile(train.training_loss, dynamic=False) if device.type == "cuda" else train.training_loss

    def compute() -> None:
        for _ in range(count):
            inputs, targets, _epoch = next(loader)
            (loss_of(model, inputs, targets) / count).backward()

    def step() -> None:
        compute()
        optimizer.step(0.1)

    step()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if device.type != "cuda" and hasattr(torch.optim, "Muon") and set(preset.window_pattern) == {"L"}:
        whole, plain = _alternating(step, _plain_step(preset, corpus.vocab_size, device, loader, count), device)
        yield Row("step", "plain torch.nn, tokens/s", 1000 * preset.total_batch_size / plain, "tokens/s")
        note = f"{plain / whole:.2f} x plain torch.nn; aim 1.00"
    else:
        whole, note = milliseconds(step, device, 3.0), ""
    speed = 1000 * preset.total_batch_size / whole
    yield Row("step", "tokens/s", speed, "tokens/s", note)
    yield Row("step", "whole step", whole, "ms", f"{preset.total_batch_size} tokens, {count} x {rows} rows")
    computing = milliseconds(compute, device, 1.0)
    yield Row("step", "forward and backward", computing, "ms")

    gradients = {parameter: parameter.grad for parameter in model.parameters()}

    def update() -> None:
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        optimizer.step(0.1)

    yield Row("step", "optimizer", milliseconds(update, device), "ms")
    yield Row("step", "peak memory", harness.peak_memory_mb(device), "MiB")
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


def run_trainer(folder: Path | None, device: torch.device, budget: float, **variables: str) -> dict[str, str]:
    """Run `python -m trainer.train` and return its summary, with `wall`, the seconds the process lived.

    Raises:
        SetupError: it failed.
    """
    started = time.perf_counter()
    command = [sys.executable, "-m", "trainer.train"]
    environment = environment_of(device, budget) | variables | ({"SWARM_RUN_DIR": str(folder)} if folder else {})
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise harness.SetupError(f"trainer.train failed: {(process.stderr or process.stdout).strip().splitlines()[-1]}")
    return summary_of(process.stdout) | {"wall": f"{time.perf_counter() - started:.2f}"}


def environment_of(device: torch.device, budget: float) -> dict[str, str]:
    """This process's environment for a training run: device and budget set, no run directory."""
    kept = {name: value for name, value in os.environ.items() if name != "SWARM_RUN_DIR"}
    return kept | {"SWARM_DEVICE": device.type, "TIME_BUDGET": str(budget)}


def summary_of(output: str) -> dict[str, str]:
    """The `key: value` lines after `---` of what a training run printed."""
    lines = output.rpartition("---\n")[2].splitlines()
    return {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}


def startup_rows(device: torch.device) -> Iterator[Row]:
    """From starting Python to the end of the first step, with empty caches of compiled code and with full ones, and
    what the referee takes to measure the model."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        caches = {"TORCHINDUCTOR_CACHE_DIR": f"{place}/inductor", "TRITON_CACHE_DIR": f"{place}/triton"}
        for what, note in (("cold", ""), ("warm", "aim 8")):
            summary = run_trainer(place / "run", device, 0.001, **caches)
            yield Row("start-up", f"{what}, Python to first step", float(summary["wall"]), "s", note)
        for what, note in (("first", ""), ("second", "aim 8 on an H100")):
            yield Row("referee", f"{what} pass over val", _referee(place / "run", device, caches), "s", note)


def _referee(folder: Path, device: torch.device, caches: dict[str, str]) -> float:
    environment = environment_of(device, 1.0) | caches | {"SWARM_RUN_DIR": str(folder)}
    command = [sys.executable, "-m", "trainer.referee"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return json.loads((folder / "referee.json").read_text())["seconds"]


def neighbour_rows(device: torch.device, budget: float = 5.0) -> Iterator[Row]:
    """Steps of a trainer alone, and of several side by side on cores of their own: on CPUs, whatever the device."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    count = min(4, len(cores))
    if count < 2:
        yield missing("neighbours", "steps beside others", "of alone", "needs two cores that can be assigned")
        return
    alone = _steps(cores[:1], budget)[0]
    beside = _steps(cores[:count], budget)
    share = sum(beside) / len(beside) / alone
    yield Row("neighbours", f"steps of {count} side by side", share, "of alone", "aim 0.98; on CPU, one core each")


def _steps(cores: list[int], budget: float) -> list[int]:
    environment = environment_of(torch.device("cpu"), budget)
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            subprocess.Popen(
                ["taskset", "-c", str(core), sys.executable, "-m", "trainer.train"],
                cwd=ROOT, env=environment | {"SWARM_RUN_DIR": f"{folder}/{core}"}, stdout=subprocess.PIPE, text=True,
            )
            for core in cores
        ]  # fmt: skip
        return [int(summary_of(process.communicate()[0])["num_steps"]) for process in processes]
