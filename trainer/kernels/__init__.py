"""Fused kernels for NVIDIA GPUs, each beside an eager reference that computes the same and runs everywhere else.

    polar             symmetric products of Muon's orthogonalization, one triangle of tiles each
    cross_entropy     softcapped cross entropy: loss and gradient in one pass over the logits
    linear_relu2      an MLP whose squared ReLU is part of its matrix products

Fixed: agents do not edit these files. Nothing here imports triton before a kernel is used on a GPU. A kernel is used
there once it has passed a probe, a small real computation compared with its reference; `describe` says what came of
it. `AUTORESEARCH_KERNELS` changes the choice: `all`, `none`, or names with commas. linear_relu2 is off without being
asked for, because nobody has measured yet that it pays.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
from dataclasses import dataclass

import torch

NAMES = ("polar", "cross_entropy", "linear_relu2")
DEFAULT = ("polar", "cross_entropy")
VARIABLE = "AUTORESEARCH_KERNELS"


@dataclass(frozen=True)
class Verdict:
    """Whether a kernel is used, and why, or why not."""

    name: str
    used: bool
    reason: str


def used(name: str, device: torch.device) -> bool:
    """Whether the kernel called `name` computes on `device`, rather than its eager reference."""
    return device.type == "cuda" and verdict(name, device.type).used


@functools.cache
def verdict(name: str, device: str) -> Verdict:
    """The decision about one kernel on one type of device; the first question about it runs its probe."""
    if device != "cuda":
        return Verdict(name, False, f"eager on {device}")
    if name not in wanted(os.environ.get(VARIABLE, "")):
        return Verdict(name, False, f"not in {VARIABLE}" if VARIABLE in os.environ else "off by default")
    problem = probe(name, torch.device(device))
    return Verdict(name, problem is None, problem or "passed its probe")


def wanted(text: str) -> tuple[str, ...]:
    """The kernels that a value of `AUTORESEARCH_KERNELS` asks for; unknown names are ignored."""
    asked = text.replace(",", " ").split()
    if not asked:
        return DEFAULT
    return NAMES if asked == ["all"] else tuple(name for name in NAMES if name in asked)


def probe(name: str, device: torch.device) -> str | None:
    """Run one kernel against its reference. Returns what is wrong, or None."""
    try:
        from triton.errors import TritonError  # pyright: ignore[reportMissingImports]
    except ImportError:
        return "triton is not installed"
    try:
        error = importlib.import_module(f"trainer.kernels.{name}").probe(device)
    except (TritonError, RuntimeError, OSError, subprocess.SubprocessError) as failure:
        return (str(failure) or type(failure).__name__).splitlines()[0]
    return None if error < 0.01 else f"off by {error:.3g} of its reference"


def difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """How far `found` is from `wanted`: the norm of the difference over the norm of `wanted`. NaN counts as 1."""
    error = ((found.float() - wanted.float()).norm() / wanted.float().norm().clamp_min(1e-30)).item()
    return error if error == error else 1.0


def describe(device: torch.device) -> str:
    """One line: which kernels are used, and why the others are not."""
    verdicts = [verdict(name, device.type) for name in NAMES]
    return ", ".join(f"{v.name} ({'kernel' if v.used else 'eager'}: {v.reason})" for v in verdicts)


def in_use(device: torch.device) -> str:
    """The names of the kernels in use on `device`, with commas; `none` where all is eager."""
    return ",".join(name for name in NAMES if used(name, device)) or "none"
