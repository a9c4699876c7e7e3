"""What a benchmark finds: rows of figures, how they are timed, and how they are shown."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch

from trainer import kernels

NEEDS_GPU = "needs an NVIDIA GPU"


@dataclass(frozen=True)
class Row:
    """One figure. `value` None: it could not be measured here, and `note` says why."""

    part: str
    what: str
    value: float | None
    unit: str
    note: str = ""


def missing(part: str, what: str, unit: str, why: str = NEEDS_GPU) -> Row:
    return Row(part, what, None, unit, why)


def milliseconds(function: Callable[[], Any], device: torch.device, seconds: float = 0.5) -> float:
    """Median milliseconds of a call, over about `seconds`: GPU time on CUDA, CPU time elsewhere, where it does not
    matter what else the machine does."""
    for _ in range(3):
        function()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < until:
        times.append(_once(function, device))
    return median(times)


def _once(function: Callable[[], Any], device: torch.device) -> float:
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    before = clock()
    function()
    if device.type == "mps":
        torch.mps.synchronize()
    return 1000 * (clock() - before)


@contextmanager
def using_kernels(names: str):
    """Let exactly these kernels be used (see trainer/kernels) while the context lasts."""
    with _variable(kernels.VARIABLE, names):
        kernels.verdict.cache_clear()
        yield
    kernels.verdict.cache_clear()


@contextmanager
def _variable(name: str, value: str):
    import os

    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def show(rows: list[Row]) -> None:
    """Print rows as a table."""
    wide, long = max(len(row.part) for row in rows), max(len(row.what) for row in rows)
    for row in rows:
        value = "-" if row.value is None else f"{row.value:,.4g}" if abs(row.value) < 1000 else f"{row.value:,.0f}"
        print(f"{row.part:<{wide}}  {row.what:<{long}}  {value:>12} {row.unit:<8} {row.note}".rstrip(), flush=True)


def write(path: Path, rows: list[Row], device: torch.device, command: list[str]) -> None:
    """Write rows as one JSON object, with what is needed to know later what they mean."""
    content = {"machine": machine(device), "command": command, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n")


def machine(device: torch.device) -> dict[str, str]:
    """Date, accelerator or processor, and versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": f"{device.type}: {name}",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """What the processor calls itself."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
