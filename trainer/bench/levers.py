"""Which levers of the CPU preset pay, each alone, over paired seeds.

    python -m trainer.bench.levers --results levers.jsonl --budget 20 --seeds 6    # goes on where it was stopped
    python -m trainer.bench.levers --results levers.jsonl --budget 20 --show       # the table of what is there

Each lever is one change to the CPU preset, or one parameter that stays as it is at first. Every seed is trained with
each of them and without any, one after another in one process, so that a table of few seeds is complete; what is
compared are pairs of equal seeds. Seconds are CPU seconds of training, but a busy machine makes fewer steps in them.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from trainer import harness, train

PLAIN = "as it is"
LEVERS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "bigram_rows 16384": {"bigram_rows": 2**14},
    "bigram_rows and trigram_rows 16384": {"bigram_rows": 2**14, "trigram_rows": 2**14},
    "copy_features": {"copy_features": 1},
    "total_batch_size 2048": {"total_batch_size": 2**11},
    "warmdown 0.8": {"warmdown": 0.8},
    "query_gain 1.25": {"query_gain": 1.25},
    "embedding_beta2 0.99": {"embedding_beta2": 0.99},
    "muon_beta2 0.85": {"muon_beta2": 0.85},
    "momentum_end 0.85": {"momentum_end": 0.85},
    "muon_equalize": {"muon_equalize": 1},
    "without stream_scale": {"frozen": "stream_scale"},
}


def changed(plain: train.Preset, lever: str) -> train.Preset:
    """The preset that a lever makes of the plain one."""
    return replace(plain, **{name: value for name, value in LEVERS[lever].items() if name != "frozen"})


def measured(lever: str, seed: int, budget: float) -> dict[str, Any]:
    """Train the CPU preset with a lever once. Returns what the results file holds of it."""
    settings = harness.Settings(torch.device("cpu"), seed, 1, None, budget)
    plain, build = train.PRESETS["cpu"], train.build_model
    train.PRESETS["cpu"] = changed(plain, lever)

    def built(*arguments: Any) -> train.GPT:
        model = build(*arguments)
        if frozen := LEVERS[lever].get("frozen"):
            model.get_parameter(frozen).requires_grad_(False)
        return model

    train.build_model = built
    try:
        settings.apply()
        gc.enable()
        with contextlib.redirect_stdout(io.StringIO()):
            summary = train.train(settings)
    finally:
        train.PRESETS["cpu"], train.build_model = plain, build
        gc.unfreeze()
    found = {"val_bpb": float(summary["val_bpb"]), "steps": summary["num_steps"]}
    return {"lever": lever, "seed": seed, "budget": budget, **found}


def missing(done: list[dict[str, Any]], budget: float, seeds: int) -> Iterator[tuple[str, int]]:
    """What is still to be run: all levers of a seed before the next seed."""
    there = {(row["lever"], row["seed"]) for row in done if row["budget"] == budget}
    return ((lever, seed) for seed in range(1, seeds + 1) for lever in LEVERS if (lever, seed) not in there)


def table(done: list[dict[str, Any]], budget: float) -> list[str]:
    """Markdown: of each lever the mean gain in val_bpb over equal seeds, its standard error, and steps."""
    runs = {(row["lever"], row["seed"]): row for row in done if row["budget"] == budget}
    lines = ["| lever | val_bpb | gain | standard error | gain / error | steps | seeds |", "|" + 7 * "---|"]
    for lever in LEVERS:
        seeds = [seed for name, seed in runs if name == lever and (PLAIN, seed) in runs]
        if seeds:
            gains = [runs[PLAIN, seed]["val_bpb"] - runs[lever, seed]["val_bpb"] for seed in seeds]
            error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
            share = f"{fmean(gains) / error:+.1f}" if error > 0 else ""
            level, steps = (fmean(runs[lever, seed][key] for seed in seeds) for key in ("val_bpb", "steps"))
            figures = f"{level:.4f} | {fmean(gains):+.4f} | {error:.4f} | {share} | {steps:.0f} | {len(seeds)}"
            lines.append(f"| {lever} | {figures} |")
    return lines


def read(path: Path) -> list[dict[str, Any]]:
    """What a results file holds; a last line that was cut off is as if it was not there."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="trainer.bench.levers", description="Which levers of the CPU preset pay.")
    parser.add_argument("--results", type=Path, required=True, metavar="FILE", help="JSON lines, one for each run")
    parser.add_argument("--budget", type=float, default=20.0, metavar="SECONDS", help="CPU seconds of a run (20)")
    parser.add_argument("--seeds", type=int, default=6, metavar="N", help="seeds 1 to N (6)")
    parser.add_argument("--show", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args(argv)
    while not arguments.show and (
        left := next(missing(read(arguments.results), arguments.budget, arguments.seeds), None)
    ):
        row = measured(*left, arguments.budget)
        with arguments.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(f"{row['lever']}, seed {row['seed']}: {row['val_bpb']:.4f} after {row['steps']} steps", flush=True)
    print("\n".join(table(read(arguments.results), arguments.budget)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
