"""Where a step's time goes: kernels by kind on a GPU, operators on a CPU."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from trainer.bench.rows import Row
from trainer.bench.training_step import TrainingStep

STEPS, LONGEST = 3, 12  # steps that are looked at, and kernels that are named
# The first pattern that is found in a kernel's name says its kind; cuBLAS calls its newer kernels nvjet.
KINDS = (
    ("attention", r"flash|fmha|sdpa|cudnn_generated|scaled_dot_product"),
    ("polar", r"_symmetric"),
    ("linear_relu2", r"_product|_persistent"),
    ("cross entropy", r"_cross_entropy|HeadLoss|softmax"),
    ("matrix products", r"nvjet|gemm|cutlass|cublas|splitK|gemv|aten::(?:mm|bmm|addmm|baddbmm)"),
    ("AdamW", r"multi_tensor|adam"),
    ("copies", r"^Mem|aten::(?:copy_|cat|stack|clone)"),
    ("embeddings", r"embedding|index"),
    ("compiled, sums of one program", r"triton_red_fused__to_copy_add_mul_sum"),
    ("compiled, reductions", r"triton_(?:per|red)"),
    ("compiled, pointwise", r"triton_poi"),
    ("norms", r"rms_norm|aten::(?:mean|norm|linalg_vector_norm)"),
)


def kind_of(name: str) -> str:
    """The kind of a kernel or operator by its name."""
    return next((kind for kind, pattern in KINDS if re.search(pattern, name, re.IGNORECASE)), "other")


def profile_rows(device: torch.device) -> Iterator[Row]:
    """Milliseconds of a step by kind with their share, and the longest kernels by name."""
    step = TrainingStep.of(device)
    for _ in range(3):
        step()
    times, calls = profiled(step, device)
    busy = sum(times.values()) or 1e-9
    yield Row(
        "profile", "busy, of a step", busy, "ms", "GPU time" if device.type == "cuda" else "of one thread, by operator"
    )
    kinds: dict[str, float] = defaultdict(float)
    for name, time in times.items():
        kinds[kind_of(name)] += time
    for kind, time in _longest(kinds):
        yield Row("profile", kind, time, "ms", f"{100 * time / busy:.1f}%")
    for name, time in _longest(times)[:LONGEST]:
        yield Row("profile", name[:60], time, "ms", f"{calls[name]:.1f} calls a step; {kind_of(name)}")


def _longest(times: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(times.items(), key=lambda item: -item[1])


def profiled(step: Callable[[], None], device: torch.device) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds and calls of each kernel, on a CPU of each operator without those that it calls, in a step."""
    gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as found:
        for _ in range(STEPS):
            step()
        if gpu:
            torch.cuda.synchronize()
    times: dict[str, float] = defaultdict(float)
    calls: dict[str, float] = defaultdict(float)
    for event in found.events() or ():
        on_gpu = event.device_type == DeviceType.CUDA
        if on_gpu is not gpu:
            continue
        spent = event.time_range.elapsed_us() if gpu else event.self_cpu_time_total
        times[event.name] += spent / 1000 / STEPS
        calls[event.name] += 1 / STEPS
    return times, calls
