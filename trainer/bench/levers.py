"""Which levers of the CPU preset pay, each alone, over paired seeds.

    python -m trainer.bench.levers --results levers.jsonl --budget 20 --seeds 6    # goes on where it was stopped
    python -m trainer.bench.levers --results levers.jsonl --budget 20 --show       # the table of what is there

Each lever is one change to the CPU preset, or one parameter that stays as it is at first. Every seed is trained with
each of them and without any, one after another in one process, so that a table of few seeds is complete; what is
compared are pairs of equal seeds.

Seconds are CPU seconds of training. A busy machine makes fewer steps in them, and not the same number in each run. So
each lever's step has a price, the least that it ever took here, and a budget buys as many steps as it would pay for on
a quiet machine: the table is the same however long it takes to make.
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
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from trainer import harness, train

PLAIN = "as it is"
PRICED = 3.0  # CPU seconds of training in which a step is priced
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
# These do the same work in a step, with other numbers, so they have one price. When each had its own, three more steps
# in seventy looked like a gain of 0.012 in each of them.
SAME_WORK = (PLAIN, "warmdown 0.8", "query_gain 1.25", "embedding_beta2 0.99", "muon_beta2 0.85", "momentum_end 0.85")


def changed(plain: train.Preset, lever: str) -> train.Preset:
    """The preset that a lever makes of the plain one."""
    return replace(plain, **{name: value for name, value in LEVERS[lever].items() if name != "frozen"})


class PricedClock(harness.BudgetClock):
    """Counts every step at the same `price`, or where there is none, as it is; notes what each one took."""

    price: float | None = None
    took: list[float]

    def start(self) -> None:
        self.took = PricedClock.took = []
        super().start()

    def lap(self) -> None:
        now = self._now()
        self.took.append(now - self._mark)
        self._mark = now
        self.count(self.price or self.took[-1])


def price(lever: str, seconds: float) -> dict[str, Any]:
    """The least CPU seconds that a step of a lever took in so many."""
    with tempfile.TemporaryDirectory() as folder:  # where its model goes, in place of being measured
        trained(lever, 0, seconds, None, Path(folder))
    return {"lever": lever, "price": min(PricedClock.took)}


def measured(lever: str, seed: int, budget: float, cost: float) -> dict[str, Any]:
    """Train the CPU preset with a lever once, at that price of a step. Returns what the results file holds of it."""
    summary = trained(lever, seed, budget, cost)
    found = {"val_bpb": float(summary["val_bpb"]), "steps": summary["num_steps"]}
    return {"lever": lever, "seed": seed, "budget": budget, **found}


def trained(lever: str, seed: int, budget: float, cost: float | None, folder: Path | None = None) -> dict[str, Any]:
    """The summary of one training of the CPU preset with a lever; the preset stays plain."""
    settings = harness.Settings(torch.device("cpu"), seed, 1, folder, budget)
    plain, build, clock = train.PRESETS["cpu"], train.build_model, harness.BudgetClock
    train.PRESETS["cpu"] = changed(plain, lever)

    def built(*arguments: Any) -> train.GPT:
        model = build(*arguments)
        if frozen := LEVERS[lever].get("frozen"):
            model.get_parameter(frozen).requires_grad_(False)
        return model

    train.build_model, harness.BudgetClock, PricedClock.price = built, PricedClock, cost
    try:
        settings.apply()
        gc.enable()
        with contextlib.redirect_stdout(io.StringIO()):
            return train.train(settings)
    finally:
        train.PRESETS["cpu"], train.build_model, harness.BudgetClock = plain, build, clock
        gc.unfreeze()


def missing(done: list[dict[str, Any]], budget: float, seeds: int) -> Iterator[tuple[str, int]]:
    """What is still to be run: all levers of a seed before the next seed."""
    there = {(row["lever"], row["seed"]) for row in done if row.get("budget") == budget}
    return ((lever, seed) for seed in range(1, seeds + 1) for lever in LEVERS if (lever, seed) not in there)


def unpriced(done: list[dict[str, Any]], rounds: int) -> str | None:
    """The lever whose step is to be priced next: all of them once before any of them again."""
    counts = Counter(dict.fromkeys(LEVERS, 0))
    counts.update(row["lever"] for row in done if "price" in row and row["lever"] in LEVERS)
    lever, count = min(counts.items(), key=lambda item: item[1])
    return lever if count < rounds else None


def prices(done: list[dict[str, Any]]) -> dict[str, float]:
    """The least that a step of each lever ever took, or of any that does the same work."""
    found: dict[str, float] = {}
    for row in done:
        if "price" in row:
            for lever in SAME_WORK if row["lever"] in SAME_WORK else (row["lever"],):
                found[lever] = min(row["price"], found.get(lever, math.inf))
    return found


def table(done: list[dict[str, Any]], budget: float) -> list[str]:
    """Markdown: of each lever the mean gain in val_bpb over equal seeds, its standard error, and steps."""
    runs = {(row["lever"], row["seed"]): row for row in done if row.get("budget") == budget}
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
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often a step of each is priced (5)")
    parser.add_argument("--show", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args(argv)
    results, budget = arguments.results, arguments.budget
    while not arguments.show and (lever := unpriced(read(results), arguments.rounds)):
        row = price(lever, min(PRICED, budget))
        append(results, row)
        print(f"{lever}: a step takes {1e3 * row['price']:.0f} ms", flush=True)
    while not arguments.show and (left := next(missing(read(results), budget, arguments.seeds), None)):
        lever, seed = left
        row = measured(lever, seed, budget, prices(read(results))[lever])
        append(results, row)
        print(f"{lever}, seed {seed}: {row['val_bpb']:.4f} after {row['steps']} steps", flush=True)
    print("\n".join(table(read(results), budget)))
    return 0


def append(results: Path, row: dict[str, Any]) -> None:
    """Writes a row to the results file, to stay."""
    with results.open("a") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main())
