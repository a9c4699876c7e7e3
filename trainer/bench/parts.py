"""The parts of a step on their own: attention, Muon, the fused kernels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional as F

from trainer import attention, kernels, probing, train
from trainer.bench.rows import NEEDS_GPU, Row, milliseconds, missing, using_kernels
from trainer.kernels import cross_entropy, linear_relu2, linear_relu2_tma, polar

RUNGS: dict[str, Callable[[], attention.Kernel]] = {
    "fa4": attention.load_fa4,
    "fa3": attention.load_fa3,
    "cudnn+fa2": lambda: attention.cudnn_and_flash,
    "fa2": lambda: attention.flash,
    "sdpa": lambda: attention.sdpa,
}


def attention_rows(device: torch.device) -> Iterator[Row]:
    """Forward and backward of every rung, over all keys and in a window."""
    batch, length, heads, dim, window = (32, 2048, 5, 128, 256) if device.type == "cuda" else (2, 1024, 2, 32, 128)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    q, k, v = (torch.randn(batch, length, heads, dim, device=device, dtype=dtype).requires_grad_() for _ in range(3))
    weight = torch.randn_like(v)

    def both_directions(kernel: attention.Kernel, reach: int) -> object:
        return torch.autograd.grad(kernel(q, k, v, reach), (q, k, v), weight)

    chosen = attention.choose(device, dtype, dim)
    yield Row("attention", f"chosen: {chosen.name}", None, "", chosen.reason)
    attention.leave(chosen.name)
    for name in RUNGS:
        for label, reach in (("full", -1), (f"window {window}", window)):
            what = f"{name}, {label}, {batch} x {length}"
            if device.type == "cuda" or name == "sdpa":
                yield rung_row(name, what, functools.partial(both_directions, reach=reach), device)
            else:
                yield missing("attention", what, "ms")
    RUNGS[chosen.name]()  # what it changes in torch is in force again


def rung_row(name: str, what: str, function: Callable[[attention.Kernel], object], device: torch.device) -> Row:
    """The time of a function of one rung's kernel. The rung is left again whatever happens: what it changes in torch
    would be measured under the next one's name."""
    try:
        kernel = RUNGS[name]()
        try:
            return Row("attention", what, milliseconds(functools.partial(function, kernel), device), "ms")
        finally:
            attention.leave(name)
    except probing.failures() as error:
        return missing("attention", what, "ms", probing.reason(error))


def why_eager(name: str, device: torch.device) -> str:
    """Why a kernel cannot be measured here: it would be its reference under the kernel's name. "" where it can."""
    if device.type != "cuda":
        return NEEDS_GPU
    verdict = kernels.tried(name, device, races=False)
    return "" if verdict.used else verdict.reason


def muon_rows(device: torch.device) -> Iterator[Row]:
    """A step of Muon for all matrices of the preset, and the error of its products in low precision."""
    preset = train.PRESETS[device.type]
    hidden = int(preset.mlp_ratio * preset.width)
    shapes = [(preset.width, preset.width)] * 4 + [(hidden, preset.width), (preset.width, hidden)]

    def parameters() -> list[torch.nn.Parameter]:
        made = [torch.nn.Parameter(torch.randn(shape, device=device)) for shape in preset.depth * shapes]
        for parameter in made:
            parameter.grad = torch.randn_like(parameter)
        return made

    numbers = [torch.tensor(x, device=device) if device.type == "cuda" else x for x in (0.02, 0.95, 0.1)]

    def step_of(names: str, compiles: bool) -> float:
        with using_kernels(names):
            muon = train.Muon(parameters(), preset.muon_steps, preset.muon_beta2)
            muon.update = torch.compile(muon.update_stack, dynamic=False) if compiles else muon.update_stack
            return milliseconds(lambda: muon.step(*numbers), device)

    eager = step_of("none", False)
    yield Row("muon", "eager", eager, "ms", f"{6 * preset.depth} matrices, width {preset.width}")
    problem = why_eager("polar", device)
    if problem:
        yield missing("muon", "compiled eager", "ms", problem)
        yield missing("muon", "kernels", "ms", problem)
    else:
        compiled, fused = step_of("none", True), step_of("polar", True)
        yield Row("muon", "compiled eager", compiled, "ms")
        yield Row("muon", "kernels", fused, "ms", f"{compiled / fused:.2f} x compiled eager; aim 1.25")
    if hasattr(torch.optim, "Muon"):
        reference = torch.optim.Muon(parameters(), lr=0.02, momentum=0.95, weight_decay=0.1)
        time = milliseconds(reference.step, device)
        yield Row("muon", "torch.optim.Muon", time, "ms", f"{time / eager:.2f} x our eager")
    for dtype in (torch.bfloat16, torch.float16):
        stack = torch.randn(2, *shapes[-1], device=device)
        exact = polar.polar_express(stack.cpu(), train.POLAR_EXPRESS)
        error = probing.difference(polar.polar_express(stack, train.POLAR_EXPRESS, dtype).cpu(), exact)
        yield Row(
            "muon", f"error of {dtype}".replace("torch.", ""), error, "of fp32", "Gaussian gradient, 5 iterations"
        )
    yield from _products(device, preset, problem)


def _products(device: torch.device, preset: train.Preset, problem: str) -> Iterator[Row]:
    if problem:
        yield missing("muon", "products, eager", "ms", problem)
        yield missing("muon", "products, kernels", "ms", problem)
        yield missing("muon", "products, error in bf16", "relative", problem)
        return
    stacks = product_stacks(preset, device, torch.bfloat16)
    found, times = [], []
    for names in ("none", "polar"):
        with using_kernels(names):
            found.append(products(stacks))
            times.append(milliseconds(lambda: products(stacks), device))
    yield Row("muon", "products, eager", times[0], "ms", "x^T x and a I + b g + c g g^T, bf16")
    yield Row("muon", "products, kernels", times[1], "ms", f"{times[0] / times[1]:.2f} x eager; aim 1.25")
    yield Row("muon", "products, error in bf16", products_error(found[1], found[0]), "relative", "aim 0.01")


def product_stacks(preset: train.Preset, device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    """Stacks of the preset's matrices, whose x^T x is near I: there the terms of a I + b g + c g g^T weigh about the
    same, and an error in any of them shows."""
    hidden = int(preset.mlp_ratio * preset.width)
    return [
        torch.randn(count * preset.depth, rows, preset.width, device=device, dtype=dtype) / rows**0.5
        for count, rows in ((4, preset.width), (2, hidden))
    ]


def products(stacks: list[torch.Tensor]) -> list[torch.Tensor]:
    """Both symmetric products of an iteration of Muon, for each stack."""
    return [polar.polynomial(polar.gram(stack.mT), 4.0, -3.0, 2.0) for stack in stacks]


def products_error(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    """The largest relative difference of two lists of products."""
    return max(probing.difference(a, b) for a, b in zip(found, wanted, strict=True))


def fused_rows(device: torch.device) -> Iterator[Row]:
    """The fused kernels against what torch.compile (on a CPU: plain eager) makes of their references."""
    with using_kernels("all"):
        yield from _cross_entropy_rows(device)
        yield from _mlp_rows(device)


def _pair(
    part: str, what: str, ours: Callable[[], object], theirs: Callable[[], object], device: torch.device, *notes: str
) -> Iterator[Row]:
    a, b = milliseconds(theirs, device), milliseconds(ours, device)
    yield Row(part, f"{what}, {'compiled' if device.type == 'cuda' else 'eager'} reference", a, "ms")
    yield Row(part, f"{what}, ours", b, "ms", "; ".join([f"{a / b:.2f} x", *filter(None, notes)]))


def _compiled(function: Callable, device: torch.device) -> Callable:
    return torch.compile(function, dynamic=False) if device.type == "cuda" else function


def _cross_entropy_rows(device: torch.device) -> Iterator[Row]:
    tokens, width, vocabulary = (65_536, 640, 8192) if device.type == "cuda" else (512, 64, 2048)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    targets = torch.randint(vocabulary, (tokens,), device=device)
    logits = torch.randn(tokens, vocabulary, device=device, dtype=dtype)

    def plain(logits: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(15 * torch.tanh(logits.float() / 15), targets)

    problem = why_eager("cross_entropy", device) if device.type == "cuda" else ""
    eager = f"without the kernel: {problem}" if problem else ""
    loss = _compiled(plain, device)
    leaf = logits.clone().requires_grad_()
    yield from _pair(
        "cross entropy", f"{tokens} x {vocabulary} logits, both directions",
        lambda: cross_entropy.cross_entropy_(logits, targets, 15.0), lambda: torch.autograd.grad(loss(leaf), leaf),
        device, "aim 1.5", eager,
    )  # fmt: skip
    features = torch.randn(tokens, width, device=device, dtype=dtype).requires_grad_()
    weight = (torch.randn(vocabulary, width, device=device) / width**0.5).requires_grad_()
    reference = _compiled(cross_entropy.head_loss_reference, device)

    def both_directions(function: Callable[..., torch.Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(features, weight, targets, 15.0), (features, weight))

    theirs, ours = both_directions(reference), both_directions(cross_entropy.head_loss)
    yield from _pair("cross entropy", "with the head's products", ours, theirs, device, eager)
    for name, function in (("reference", theirs), ("ours", ours)):
        what, peak = f"memory with the head, {name}", _extra_memory(function, device)
        yield Row("cross entropy", what, peak, "MiB") if peak is not None else missing("cross entropy", what, "MiB")


def _extra_memory(function: Callable[[], object], device: torch.device) -> float | None:
    """MiB of GPU memory that a call takes beyond what is there before it."""
    if device.type != "cuda":
        return None
    function()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _mlp_rows(device: torch.device) -> Iterator[Row]:
    if problem := why_eager("linear_relu2", device):
        yield missing("linear relu2", "MLP, both directions", "ms", problem)
        yield missing("linear relu2", "race against cuBLAS", "x", problem)
        return
    tokens, width, hidden = 65_536, 640, 2560
    x = torch.randn(tokens, width, device=device, dtype=torch.bfloat16).requires_grad_()
    up, down = (torch.randn(shape, device=device) / width**0.5 for shape in ((hidden, width), (width, hidden)))
    inputs = (x, up.requires_grad_(), down.requires_grad_())
    reference, ours = (torch.compile(f, dynamic=False) for f in (linear_relu2.mlp_reference, linear_relu2.mlp))
    weight = torch.randn_like(x)
    yield from _pair(
        "linear relu2", f"MLP of {tokens} tokens, both directions",
        lambda: torch.autograd.grad(ours(*inputs), inputs, weight),
        lambda: torch.autograd.grad(reference(*inputs), inputs, weight),
        device,
    )  # fmt: skip
    for name, way in (("tiled", linear_relu2), ("persistent, with descriptors", linear_relu2_tma)):
        if problem := why_eager(way.__name__.rpartition(".")[2], device):
            yield missing("linear relu2", f"race of the {name} one", "x", problem)
            continue
        note = f"against cuBLAS, once a GPU; used from {kernels.WIN} on"
        yield Row("linear relu2", f"race of the {name} one", way.race(device), "x", note)


def parity_rows(device: torch.device) -> Iterator[Row]:
    """Every kernel against its reference on the device itself, and against the clock where that decides."""
    for name in kernels.NAMES:
        if device.type != "cuda":
            yield missing("parity", name, "")
            continue
        verdict = kernels.tried(name, device, races=name in kernels.RACED)
        yield Row("parity", name, float(verdict.used), "used", verdict.reason)
