"""Another train.py and ours, in turn: same data, budget, device and metric."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from trainer import harness, train
from trainer.bench.processes import ROOT, environment_of, last_line, run_module, summary_of
from trainer.bench.rows import Row

FIGURES = {"tokens/s": "higher", "num_steps": "higher", "peak_vram_mb": "lower", "val_bpb": "lower"}


def against_rows(path: Path, device: torch.device, budget: float) -> Iterator[Row]:
    """Rows of both runs and their ratios.

    Raises:
        SetupError: there is no such file, or a run failed.
    """
    if not path.is_file():
        raise harness.SetupError(f"--against {path}: there is no such file")
    theirs = figures(run_other(path, device, budget))
    ours = figures(summary_of(run_module("trainer.train", environment_of(device, budget))))
    for name, better in FIGURES.items():
        a, b = theirs.get(name), ours.get(name)
        unit = {"tokens/s": "tokens/s", "peak_vram_mb": "MiB", "val_bpb": "bits/B"}.get(name, "")
        yield Row("theirs", name, a, unit, "" if a is not None else "not printed")
        note = f"{b / a:.3f} x theirs, {b - a:+.4g}; {better} is better" if a and b is not None else ""
        yield Row("ours", name, b, unit, note)


def figures(summary: dict[str, str]) -> dict[str, float]:
    """The numbers of a summary block, with `tokens/s`."""
    found = {}
    for key, value in summary.items():
        try:
            found[key] = float(value)
        except ValueError:
            continue
    if found.get("training_seconds") and "total_tokens_M" in found:
        found["tokens/s"] = 1e6 * found["total_tokens_M"] / found["training_seconds"]
    return found


def run_other(path: Path, device: torch.device, budget: float) -> dict[str, str]:
    """Run another train.py beside a `prepare` with autoresearch's interface to our corpus. Returns its summary.

    Raises:
        SetupError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for sibling in path.resolve().parent.glob("*.py"):
            shutil.copy(sibling, folder)
        shutil.copy(path, Path(folder, "train.py"))
        shutil.copy(Path(__file__).with_name("autoresearch_prepare.py"), Path(folder, "prepare.py"))
        environment = environment_of(device, budget) | {
            "BENCH_ROOT": str(ROOT),
            "BENCH_CONTEXT": str(train.PRESETS[device.type].seq_len),
            "OMP_NUM_THREADS": os.environ.get("SWARM_THREADS") or ("1" if device.type == "cpu" else ""),
        }
        environment = {name: value for name, value in environment.items() if value}
        process = subprocess.run(
            [sys.executable, "train.py"], cwd=folder, env=environment, capture_output=True, text=True
        )
    if process.returncode:
        raise harness.SetupError(f"{path} failed: {last_line(process.stdout, process.stderr, process.returncode)}")
    if "---\n" not in process.stdout:
        raise harness.SetupError(f"{path} failed: it printed no summary")
    return summary_of(process.stdout)
