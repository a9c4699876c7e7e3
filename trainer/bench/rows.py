"""What a benchmark finds: rows of figures, how they are timed, and how they are shown."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
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


# ---- timing

SPAN = 3.0  # milliseconds that lie between two events, at least where a call takes less
HEAD_STARTS = 2**21, 2**28  # cycles of a GPU, about 1 and 140 ms: the first head start, and the longest


def milliseconds(function: Callable[[], Any], device: torch.device, seconds: float = 0.5) -> float:
    """Median milliseconds of a call, over about `seconds`: GPU time on CUDA, CPU time elsewhere, where it does not
    matter what else the machine does."""
    for _ in range(3):
        function()
    if device.type == "cuda":
        return gpu_milliseconds(function, seconds)
    return median(_repeated(lambda: _once(function, device), seconds))


def steady_milliseconds(
    function: Callable[[], Any], device: torch.device, seconds: float = 3.0, gpu: Any = torch.cuda
) -> float:
    """Milliseconds of a call among many that follow each other, as the steps of a training do.

    On CUDA this is wall time: what Python and the loader take counts exactly where the GPU has to wait for it, as the
    CPU may run ahead. Elsewhere, where nothing runs ahead, the same as `milliseconds`.
    """
    if device.type != "cuda":
        return milliseconds(function, device, seconds)
    for _ in range(3):
        function()
    gpu.synchronize()
    calls, began = 0, time.perf_counter()
    while calls < 5 or time.perf_counter() < began + seconds:
        function()
        calls += 1
    gpu.synchronize()
    return 1000 * (time.perf_counter() - began) / calls


def gpu_milliseconds(function: Callable[[], Any], seconds: float, gpu: Any = torch.cuda) -> float:
    """Median milliseconds that a warm function keeps the GPU busy, whatever Python takes to launch it.

    In a training the CPU runs ahead and launching costs nothing, but on an idle GPU a short kernel waits for Python. So
    the GPU spins until all calls between two events are queued; the spinning ends before the first event and is never
    part of the figure. A head start that was too short is doubled and its sample dropped. Where even the longest one is
    too short, or where the function itself waits for the GPU (none of this bench does), launching is in the figure.
    """
    cycles, longest = HEAD_STARTS
    calls = max(1, int(SPAN / max(_between_events(function, 1, cycles, gpu)[0], SPAN / 100)))

    def sample() -> float:
        nonlocal cycles
        found, hidden = _between_events(function, calls, cycles, gpu)
        while not hidden and cycles < longest:
            cycles *= 2
            found, hidden = _between_events(function, calls, cycles, gpu)
        return found

    return median(_repeated(sample, seconds))


def _between_events(function: Callable[[], Any], calls: int, cycles: int, gpu: Any) -> tuple[float, bool]:
    """Milliseconds of a call on a GPU that spins for `cycles` first, and whether all were queued before it was done."""
    start, end = (gpu.Event(enable_timing=True) for _ in range(2))
    gpu._sleep(cycles)  # private, but what torch's own tests of streams use; there in 2.11 and in 2.13
    start.record()
    for _ in range(calls):
        function()
    end.record()
    hidden = not start.query()
    end.synchronize()
    return start.elapsed_time(end) / calls, hidden


def _once(function: Callable[[], Any], device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    before = clock()
    function()
    if device.type == "mps":
        torch.mps.synchronize()
    return 1000 * (clock() - before)


def _repeated(sample: Callable[[], float], seconds: float) -> list[float]:
    """The samples of about `seconds`, five at least."""
    found: list[float] = []
    until = time.perf_counter() + seconds
    while len(found) < 5 or time.perf_counter() < until:
        found.append(sample())
    return found


# ---- choosing


@contextmanager
def using_kernels(names: str) -> Iterator[None]:
    """Let exactly these kernels be used (see trainer/kernels) while the context lasts."""
    with variable(kernels.VARIABLE, names):
        kernels.verdict.cache_clear()
        try:
            yield
        finally:
            kernels.verdict.cache_clear()


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable while the context lasts."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


# ---- showing


def show(rows: list[Row]) -> None:
    """Print rows as a table."""
    wide, long = max(len(row.part) for row in rows), max(len(row.what) for row in rows)
    for row in rows:
        value = "-" if row.value is None else f"{row.value:,.4g}" if abs(row.value) < 1000 else f"{row.value:,.0f}"
        print(f"{row.part:<{wide}}  {row.what:<{long}}  {value:>12} {row.unit:<8} {row.note}".rstrip(), flush=True)


def write(path: Path, rows: list[Row], device: torch.device, command: list[str]) -> None:
    """Write rows as one JSON object, with what is needed to know later what they mean; a file that is there stays as
    it was until the new one is complete."""
    content = {"machine": machine(device), "command": command, "rows": [asdict(row) for row in rows]}
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(path)


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
