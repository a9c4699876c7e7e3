"""Fused kernels for NVIDIA GPUs, each beside an eager reference that computes the same and runs everywhere else.

    polar             symmetric products of Muon's orthogonalization, one triangle of tiles each
    cross_entropy     softcapped cross entropy: loss and gradient in one pass over the logits
    linear_relu2      an MLP whose squared ReLU is part of its matrix products
    linear_relu2_tma  the same, persistent and with tensor descriptors, on Hopper and newer
    row_update        the touched rows of n-gram tables, moved in one pass

Fixed: agents do not edit these files. Nothing here imports triton before a kernel is used on a GPU. A kernel is used
there once it has passed a probe, a small real computation compared with its reference. Those that compete with cuBLAS
must also win a race at the size of a real layer, because who wins depends on the GPU. `describe` says what came of it.
`AUTORESEARCH_KERNELS` changes the choice: `none`, or `all`, or names with commas, which then do not race.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from trainer import probing

NAMES = ("polar", "cross_entropy", "linear_relu2", "linear_relu2_tma", "row_update")
RACED = ("linear_relu2", "linear_relu2_tma")
WIN = 1.03  # times as fast: what is measured of a closer race is noise, and the choice would change between runs
VARIABLE = "AUTORESEARCH_KERNELS"


@dataclass(frozen=True)
class Verdict:
    """Whether a kernel may be used, and why, or why not; `speed` is that of its race, times cuBLAS, 0 without one."""

    name: str
    used: bool
    reason: str
    speed: float = 0.0


def used(name: str, device: torch.device) -> bool:
    """Whether the kernel called `name` computes on `device`, rather than its eager reference."""
    return device.type == "cuda" and verdict(name, device.type).used


@functools.cache
def verdict(name: str, device: str) -> Verdict:
    """The decision about one kernel on one type of device; the first question about it runs its probe."""
    if device != "cuda":
        return Verdict(name, False, f"eager on {device}")
    asked = os.environ.get(VARIABLE, "")
    if name not in wanted(asked):
        return Verdict(name, False, f"not in {VARIABLE}")
    return tried(name, torch.device(device), races=name in RACED and not asked.strip())


def wanted(text: str) -> tuple[str, ...]:
    """The kernels that a value of `AUTORESEARCH_KERNELS` asks for; unknown names are ignored."""
    asked = text.replace(",", " ").split()
    return NAMES if asked in ([], ["all"]) else tuple(name for name in NAMES if name in asked)


def tried(name: str, device: torch.device, races: bool) -> Verdict:
    """Run one kernel against its reference on `device`, and against the clock if it `races`."""
    if importlib.util.find_spec("triton") is None:
        return Verdict(name, False, "triton is not installed")
    kernel: ModuleType = importlib.import_module(f"trainer.kernels.{name}")
    try:
        error = kernel.probe(device)
        if not error < 0.01:
            return Verdict(name, False, f"off by {error:.3g} of its reference")
        if not races:
            return Verdict(name, True, "passed its probe")
        speed = remembered_race(kernel, device)
    except probing.failures() as failure:
        return Verdict(name, False, probing.reason(failure))
    return Verdict(name, speed >= WIN, f"raced at {speed:.2f} x the speed of cuBLAS and a pass of its own", speed)


def remembered_race(kernel: ModuleType, device: torch.device) -> float:
    """The result of the race that was run first on this GPU with these caches of compiled code: one that is nearly even
    would else come out differently from run to run, and the runs of a night are compared."""
    folder = os.environ.get("TRITON_CACHE_DIR")
    if not folder:
        return kernel.race(device)
    source = Path(__file__).with_name(f"{kernel.__name__.rpartition('.')[2]}_triton.py").read_text()
    key = f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}\n{source}"
    place = Path(folder, f"race-{hashlib.sha256(key.encode()).hexdigest()[:16]}")
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{os.getpid()}")
        partial.write_text(repr(kernel.race(device)))
        with contextlib.suppress(FileExistsError):  # another process was first
            place.hardlink_to(partial)
        partial.unlink()
    return float(place.read_text())


def ratio(slow: Callable[[], object], fast: Callable[[], object]) -> float:
    """How many times as fast on the GPU the second function is. They take turns, and the best time of each counts."""
    times = [(_milliseconds(slow), _milliseconds(fast)) for _ in range(6)][1:]
    return min(time for time, _ in times) / min(time for _, time in times)


def _milliseconds(function: Callable[[], object], calls: int = 3) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(calls):
        function()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls


def rivals(device: torch.device) -> list[str]:
    """The names of the kernels in use on `device` for an MLP's products, best first: by their races against cuBLAS, and
    where none had to race the later one first. Of them the first computes; where there is none, the eager reference."""
    found = [verdict(name, device.type) for name in RACED[::-1] if used(name, device)]
    return [known.name for known in sorted(found, key=lambda known: -known.speed)]


def describe(device: torch.device) -> str:
    """One line: which kernels are used, and why the others are not."""
    verdicts = [verdict(name, device.type) for name in NAMES]
    return ", ".join(f"{v.name} ({'kernel' if v.used else 'eager'}: {v.reason})" for v in verdicts)


def in_use(device: torch.device) -> str:
    """The names of the kernels in use on `device`, with commas; `none` where all is eager."""
    beaten = rivals(device)[1:]
    return ",".join(name for name in NAMES if used(name, device) and name not in beaten) or "none"
