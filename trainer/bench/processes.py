"""The trainer in processes of its own: how long it takes to start, what the referee takes, several side by side."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from trainer import harness
from trainer.bench.rows import Row, missing

ROOT = Path(__file__).resolve().parents[2]


def run_module(module: str, environment: dict[str, str]) -> str:
    """Run a module of the trainer and return what it printed.

    Raises:
        SetupError: it failed.
    """
    process = subprocess.run([sys.executable, "-m", module], cwd=ROOT, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise harness.SetupError(f"{module} failed: {last_line(process.stdout, process.stderr, process.returncode)}")
    return process.stdout


def last_line(stdout: str, stderr: str, code: int) -> str:
    """What a process that failed said last, or how it ended where it said nothing."""
    lines = (stderr.strip() or stdout.strip()).splitlines()
    return lines[-1] if lines else f"it ended with code {code}"


def environment_of(device: torch.device, budget: float) -> dict[str, str]:
    """This process's environment for a training run: device and budget set, no run directory."""
    kept = {name: value for name, value in os.environ.items() if name != "SWARM_RUN_DIR"}
    return kept | {"SWARM_DEVICE": device.type, "TIME_BUDGET": str(budget)}


def summary_of(output: str) -> dict[str, str]:
    """The `key: value` lines after `---` of what a training run printed."""
    lines = output.rpartition("---\n")[2].splitlines()
    return {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}


def phases_of(output: str) -> dict[str, float]:
    """Seconds by phase, from the line `start: import 2.1 s, probes 0.1 s` that a training run prints."""
    line = next((line for line in output.splitlines() if line.startswith("start: ")), "")
    return {phase: float(seconds) for phase, seconds in re.findall(r"(\S+) ([\d.]+) s", line)}


def startup_rows(device: torch.device) -> Iterator[Row]:
    """From starting Python to the end of the first step, with empty caches of compiled code and with full ones, and
    what the referee takes to measure the model."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "run")
        environment = environment_of(device, 0.001) | {
            "SWARM_RUN_DIR": str(folder),
            "TORCHINDUCTOR_CACHE_DIR": f"{place}/inductor",
            "TRITON_CACHE_DIR": f"{place}/triton",
        }
        for what, note in (("cold", ""), ("warm", "aim 8")):
            began = time.time()
            said = run_module("trainer.train", environment)
            first_step = (folder / "heartbeat.jsonl").stat().st_mtime  # this budget is one step: one heartbeat
            yield Row("start-up", f"{what}, Python to first step", first_step - began, "s", note)
            for phase, seconds in phases_of(said).items():
                yield Row("start-up", f"{what}, {phase}", seconds, "s")
        for what, note in (("first", ""), ("second", "aim 8 on an H100")):
            run_module("trainer.referee", environment)
            found = json.loads((folder / "referee.json").read_text())
            yield Row("referee", f"{what}: pass over val", found["seconds"], "s", note)
            note = "loading, compiling, witness"
            yield Row("referee", f"{what}: before and after", found["overhead_seconds"], "s", note)


def neighbour_rows(_device: torch.device, budget: float = 5.0) -> Iterator[Row]:
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
                cwd=ROOT, env=environment | {"SWARM_RUN_DIR": f"{folder}/{core}"},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for core in cores
        ]  # fmt: skip
        outputs = [process.communicate() for process in processes]  # of all, before one of them is found to have failed
    for process, output in zip(processes, outputs, strict=True):
        if process.returncode:
            raise harness.SetupError(f"trainer.train failed: {last_line(*output, process.returncode)}")
    return [int(summary_of(stdout)["num_steps"]) for stdout, _ in outputs]
