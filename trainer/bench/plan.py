"""What Inductor plans for a training step on an H100: bytes through its memory and launches, by kind. Needs no GPU.

    python -m trainer.bench.plan                              # today's step, with all kernels and with none
    python -m trainer.bench.plan --kernels polar,cross_entropy --set depth=2 --longest 20

Counts are of forward, backward and Muon's update, from the schedule that Inductor has made when nothing is left but to
write code. `pass`: what Inductor fuses into Triton kernels; `product`: cuBLAS; `operator`: what it calls as a whole,
attention and our kernels, whose own launches and passes are not looked into. Bytes are those that each of them reads
and writes once; nothing is known of caches or of time.

This leans on torch's insides: it traces on a CPU, calls what was traced an H100's, and stops Inductor halfway. Written
for torch 2.13; where another release does not allow it, one line says so, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch

from trainer import attention, harness, kernels, probing, train
from trainer.bench.training_step import changed
from trainer.kernels import cross_entropy, linear_relu2, polar

GPU = torch.device("cuda", 0)
VOCABULARY = 8192
H100 = SimpleNamespace(
    name="NVIDIA H100 80GB HBM3", major=9, minor=0, multi_processor_count=132, total_memory=80 * 2**30,
    max_threads_per_multi_processor=2048, max_threads_per_block=1024, regs_per_multiprocessor=65536, warp_size=32,
    shared_memory_per_block=48 << 10, shared_memory_per_block_optin=227 << 10, L2_cache_size=50 * 2**20,
    shared_memory_per_multiprocessor=228 << 10, gcnArchName="",
)  # fmt: skip


@dataclass(frozen=True)
class Launch:
    """One node of a schedule: what it is, and the bytes that it reads and writes."""

    phase: str
    kind: str
    name: str
    bytes: int
    programs: int | None = None  # of a pass that ends in so few numbers that few programs can share the work


class Planned(RuntimeError):
    """Inductor's schedule is made; no code is wanted."""


# ---- what is planned


def step_of(preset: train.Preset, used: tuple[str, ...]) -> list[Launch]:
    """All launches of a step of this preset with these kernels, in one micro-batch."""
    found: list[Launch] = []
    with planning(found, used) as backend:
        rows = preset.total_batch_size // preset.seq_len
        attend = attention.Attend("cudnn+fa2", "on Hopper, where nothing is installed", attention.cudnn_and_flash)
        model = train.GPT(preset, VOCABULARY, attend, torch.bfloat16)
        tokens = torch.zeros((rows, preset.seq_len), dtype=torch.int64)
        grams = () if model.grams is None else (model.grams.gather(tokens),)
        loss_of = torch.compile(train.training_loss, dynamic=False, backend=backend)
        loss_of(model, tokens, tokens, *grams).backward()
        matrices = [
            parameter
            for module in model.blocks.modules()
            if isinstance(module, train.Linear)
            for parameter in module.parameters(recurse=False)
        ]
        muon = train.Muon(matrices, preset.muon_steps, preset.muon_beta2)
        muon.update = torch.compile(muon.update_stack, dynamic=False, backend=backend)
        for weight in matrices:
            weight.grad = torch.zeros_like(weight)
        muon.step(*(torch.zeros(()) for _ in range(3)))
    return found


@contextlib.contextmanager
def planning(found: list[Launch], used: tuple[str, ...]) -> Iterator[Callable[..., Any]]:
    """A backend for torch.compile that appends to `found` and computes nothing, among tensors that hold nothing."""
    from torch._dynamo import device_interface, utils
    from torch._inductor import compile_fx, config, graph, scheduler
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils import _triton

    fake = FakeTensorMode()
    plain, orthogonalize = graph.GraphLowering.__init__, polar.polar_express

    def begin(self: Any, module: torch.fx.GraphModule, example_inputs: Any = None, **options: Any) -> None:
        for node in module.graph.nodes:
            move([node.meta.get("val")])
            if "device" in node.kwargs:
                node.kwargs = {**node.kwargs, "device": GPU}
        move(example_inputs or ())
        plain(self, module, example_inputs, **options)

    def schedule(self: Any) -> None:
        self.init_wrapper_code()
        self._update_scheduler()
        phase = "backward" if self.is_backward else "Muon" if self.is_inference else "forward"
        found.extend(launch for node in self.scheduler.nodes if (launch := launched(node, phase)))
        raise Planned

    def inner(module: torch.fx.GraphModule, inputs: Any, **options: Any) -> Any:
        [output] = (node for node in module.graph.nodes if node.op == "output")
        values = [getattr(value, "meta", {}).get("val") for value in output.args[0]]
        with fake:
            empty = [
                torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
                if isinstance(value, torch.Tensor)
                else value
                for value in values
            ]
        with pretended_gpu(), contextlib.suppress(Planned):
            try:
                compile_fx.compile_fx_inner(module, inputs, **options)
            except probing.failures() as error:
                raise root_of(error) from None
        return boxed(empty)

    with contextlib.ExitStack() as stack:
        patches = (
            mock.patch.object(graph.GraphLowering, "__init__", begin),
            mock.patch.object(graph.GraphLowering, "codegen", schedule),
            mock.patch.object(utils, "preserve_rng_state", contextlib.nullcontext),
            mock.patch.object(compile_fx, "get_cuda_device_context", lambda _module: contextlib.nullcontext()),
            mock.patch.object(device_interface.CudaInterface, "get_device_properties", lambda _device=None: H100),
            mock.patch.object(device_interface.CudaInterface, "current_device", lambda: 0),
            mock.patch.object(_triton, "has_triton", lambda: True),
            mock.patch.object(scheduler, "has_triton", lambda: True),
            config.patch(fx_graph_cache=False),
            # What the trainer's code does on a GPU:
            mock.patch.object(kernels, "used", lambda name, _device: name in used),
            mock.patch.object(kernels, "rivals", lambda _device: [name for name in kernels.RACED if name in used]),
            mock.patch.object(linear_relu2, "mlp", linear_relu2.mlp_of_gpu),
            mock.patch.object(cross_entropy, "head_loss", cross_entropy.head_loss_of_gpu),
            mock.patch.object(polar, "gram", torch.ops.trainer.gram),
            mock.patch.object(polar, "polynomial", torch.ops.trainer.polynomial),
            mock.patch.object(polar, "polar_express", lambda stack, by: orthogonalize(stack, by, torch.float16)),
        )
        for patch in patches:
            stack.enter_context(patch)
        stack.enter_context(fake)
        torch._dynamo.reset()
        yield lambda module, inputs: compile_fx.compile_fx(module, inputs, inner_compile=inner)


@contextlib.contextmanager
def pretended_gpu() -> Iterator[None]:
    """What Inductor and Triton ask of a GPU, answered for one that is not there."""
    from torch._dynamo import device_interface
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    answers = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_capability": lambda _device=None: (9, 0),
        "get_device_properties": lambda _device=None: H100,
    }
    absent = SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", 90, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda device: device,
    )
    with (
        mock.patch.multiple(torch.cuda, **answers),
        mock.patch.dict(device_interface.caching_worker_device_properties, {"cuda": [H100]}),
        mock.patch.dict(device_interface.caching_worker_current_devices, {"cuda": 0}),
        mock.patch.object(driver, "_active", absent),
    ):
        yield


def move(values: Any) -> None:
    """Let tensors that hold nothing say that they lie on the GPU."""
    for value in values:
        if isinstance(value, (list, tuple)):
            move(value)
        elif hasattr(value, "fake_device"):
            value.fake_device = GPU


def boxed(values: list[Any]) -> Callable[..., Any]:
    def answer(_inputs: Any) -> list[Any]:
        return values

    answer._boxed_call = True  # pyright: ignore[reportFunctionMemberAccess]
    return answer


def root_of(error: BaseException) -> BaseException:
    """`Planned` where that is what a chain of errors began with, or the error itself."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, Planned):
        link = link.__cause__ or link.__context__
    return link or error


def launched(node: Any, phase: str) -> Launch | None:
    """What a node of Inductor's schedule launches; None where it is only a name for a part of another."""
    operation, size = node.node, node.get_read_write_buffers_sizes()
    kind = type(node).__name__
    if kind == "NopKernelSchedulerNode" or type(operation).__name__ == "MultiOutput":
        return None
    if kind == "ExternKernelSchedulerNode":
        name = getattr(operation, "python_kernel_name", None) or type(operation).__name__
        return Launch(phase, "product" if name.startswith("extern_kernels.") else "operator", name, size)
    origins = sorted({origin.name for part in node.get_nodes() for origin in part.node.origins})
    if all(name.startswith("convert_element_type") for name in origins):
        return Launch(phase, "cast", ", ".join(origins), size)
    results, summed = node.group[1][0], node.group[1][1]
    alone = int(results) == 1 and int(summed) > 1
    return Launch(phase, "sum in one program" if alone else "pass", ", ".join(origins), size)


# ---- the command line


def table(plans: dict[str, list[Launch]]) -> list[str]:
    """Markdown: launches and GB of each plan, by phase and kind."""
    keys = dict.fromkeys((launch.phase, launch.kind) for plan in plans.values() for launch in plan)
    lines = ["| phase | kind | " + " | ".join(f"{name}: launches | GB" for name in plans) + " |"]
    lines.append("|" + (2 + 2 * len(plans)) * "---|")
    for phase, kind in [*sorted(keys), ("all", "")]:
        cells = []
        for plan in plans.values():
            sizes = [launch.bytes for launch in plan if phase == "all" or (launch.phase, launch.kind) == (phase, kind)]
            cells.append(f"{len(sizes)} | {sum(sizes) / 1e9:.1f}")
        lines.append(f"| {phase} | {kind} | " + " | ".join(cells) + " |")
    return lines


def longest(plan: list[Launch], count: int) -> list[str]:
    """The launches that move the most bytes, those of one name together."""
    sizes: Counter[tuple[str, str, str]] = Counter()
    calls: Counter[tuple[str, str, str]] = Counter()
    for launch in plan:
        name = launch.phase, launch.kind, launch.name
        sizes[name] += launch.bytes
        calls[name] += 1
    return [
        f"{size / 1e9:8.2f} GB {calls[key]:4} x  {', '.join(key[:2])}: {key[2][:100]}"
        for key, size in sizes.most_common(count)
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="trainer.bench.plan", description="Bytes and launches of a step on an H100.")
    parser.add_argument("--kernels", metavar="NAMES", help="plan with these kernels alone (none and all, side by side)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another number in the preset")
    parser.add_argument("--longest", type=int, default=0, metavar="N", help="also list the N largest launches")
    arguments = parser.parse_args(argv)
    try:
        preset = changed(train.PRESETS["cuda"], arguments.set)
        wanted = ["none", "all"] if arguments.kernels is None else [arguments.kernels]
        plans = {names: step_of(preset, kernels.wanted(names)) for names in wanted}
    except harness.SetupError as error:
        print(f"plan: {error}", file=sys.stderr)
        return 2
    except probing.failures() as error:
        why = f"{type(error).__name__}: {probing.reason(error)}"
        print(f"plan: torch {torch.__version__} does not let its planning be looked at: {why}", file=sys.stderr)
        return 1
    print("\n".join(table(plans)))
    for names, plan in plans.items():
        if arguments.longest:
            print("\n".join(["", f"kernels: {names}", *longest(plan, arguments.longest)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
