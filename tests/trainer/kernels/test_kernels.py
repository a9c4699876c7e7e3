"""The Triton kernels compute what their eager references spell out. Runs them in Triton's interpreter, on the CPU.

python -m pytest tests/trainer/kernels/test_kernels.py

The interpreter is on or off for a whole process, so the cases run in one of their own. It multiplies bf16 wrongly
(triton issue 11584): fp32 and fp16 here, bf16 on a GPU, where the kernels' own probes compare it at every start.
"""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainer import kernels, probing, train
from trainer.kernels import cross_entropy, linear_relu2, linear_relu2_tma, polar, row_update

ROOT = Path(__file__).resolve().parents[3]

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton, which has no wheel for this platform"
)


def interpreter() -> str:
    """Why Triton's interpreter cannot run here; "" where it can."""
    if importlib.util.find_spec("triton") is None:
        return "needs triton, which has no wheel for this platform"
    old = importlib.metadata.version("triton").startswith("3.6.")
    return "the interpreter of triton 3.6 fails in every loop under numpy 2.4" if old else ""


@pytest.fixture(scope="module")
def interpreted() -> str:
    """What the cases said, all of which are run by one process: the imports take longer than most of them."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).with_name("interpreted.py")), *kernels.NAMES]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr[-3000:]
    return result.stdout


@pytest.mark.skipif(bool(interpreter()), reason=interpreter())
@pytest.mark.parametrize("case", kernels.NAMES)
def test_in_the_interpreter(case: str, interpreted: str) -> None:
    assert f"{case} passed\n" in interpreted, interpreted


def test_without_a_gpu_nothing_imports_triton() -> None:
    code = (
        "import sys, torch\n"
        "from trainer import train\n"
        "from trainer.kernels import cross_entropy, linear_relu2, polar\n"
        "x, w, t = torch.randn(5, 4), torch.randn(7, 4), torch.arange(5)\n"
        "cross_entropy.head_loss(x, w, t, 15.0)\n"
        "polar.polar_express(torch.randn(2, 4, 6), train.POLAR_EXPRESS)\n"
        "linear_relu2.mlp(x, torch.randn(8, 4), torch.randn(4, 8))\n"
        "assert 'triton' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_cpu_computes_eagerly_and_says_so() -> None:
    cpu = torch.device("cpu")
    assert kernels.in_use(cpu) == "none"
    assert "polar (eager: eager on cpu)" in kernels.describe(cpu)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", kernels.NAMES),
        ("none", ()),
        ("all", kernels.NAMES),
        ("linear_relu2, polar", ("polar", "linear_relu2")),
        ("no-such-kernel", ()),
    ],
)
def test_the_choice_can_be_changed(text: str, names: tuple[str, ...]) -> None:
    assert kernels.wanted(text) == names


@needs_triton
def test_a_kernel_that_fails_its_probe_says_why_and_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device) -> float:
        raise RuntimeError("no kernel image for this device\nwith details")

    for probe, used, reason in (
        (broken, False, "no kernel image for this device"),
        (lambda device: 0.5, False, "off by 0.5 of its reference"),
        (lambda device: 1e-4, True, "passed its probe"),
    ):
        monkeypatch.setattr(polar, "probe", probe)
        kernels.verdict.cache_clear()
        assert kernels.verdict("polar", "cuda") == kernels.Verdict("polar", used, reason)
    kernels.verdict.cache_clear()


@needs_triton
def test_a_kernel_that_competes_with_cublas_must_win_its_race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_relu2, "probe", lambda device: 1e-4)
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    for speed, used in ((1.25, True), (1.01, False), (0.6, False)):
        monkeypatch.setattr(linear_relu2, "race", lambda device, speed=speed: speed)
        kernels.verdict.cache_clear()
        verdict = kernels.verdict("linear_relu2", "cuda")
        assert (verdict.used, verdict.reason[:14]) == (used, f"raced at {speed:.2f} ")
    for asked, used in (("all", True), ("linear_relu2", True), ("polar", False), ("none", False)):
        monkeypatch.setenv(kernels.VARIABLE, asked)
        kernels.verdict.cache_clear()
        assert kernels.verdict("linear_relu2", "cuda").used is used, asked
    kernels.verdict.cache_clear()


@needs_triton
def test_of_two_kernels_for_the_same_products_the_faster_one_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)

    def winners(asked: str, tiled: float, persistent: float) -> tuple[list[str], str]:
        monkeypatch.setenv(kernels.VARIABLE, asked)
        for module, speed in ((linear_relu2, tiled), (linear_relu2_tma, persistent)):
            monkeypatch.setattr(module, "probe", lambda device: 1e-4)
            monkeypatch.setattr(module, "race", lambda device, speed=speed: speed)
        for module in (polar, cross_entropy, row_update):
            monkeypatch.setattr(module, "probe", lambda device: 1e-4)
        kernels.verdict.cache_clear()
        return kernels.rivals(gpu), kernels.in_use(gpu)

    both = ["linear_relu2", "linear_relu2_tma"]
    assert winners("", 1.2, 1.1) == (both, "polar,cross_entropy,linear_relu2,row_update")
    assert winners("", 1.2, 1.3) == (both[::-1], "polar,cross_entropy,linear_relu2_tma,row_update")
    assert winners("", 0.9, 1.02) == ([], "polar,cross_entropy,row_update")
    assert winners("linear_relu2 linear_relu2_tma", 0.1, 0.1)[0] == both[::-1], "who is asked for does not race"
    # The faster one where the matrices lie as it needs them, else the other one.
    winners("", 1.2, 1.3)
    monkeypatch.setattr(linear_relu2, "triton_of", lambda name: Fitting(name))
    monkeypatch.setattr(kernels, "rivals", lambda device: both[::-1])
    for width, name in ((8, "linear_relu2_tma"), (7, "linear_relu2")):
        assert linear_relu2.activated(torch.randn(3, width), torch.randn(5, width)) == name
    kernels.verdict.cache_clear()


class Fitting:
    """Stands for both kernels, and says which one was called."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fits(self, *matrices: torch.Tensor) -> bool:
        return self.name == "linear_relu2" or all(matrix.shape[1] % 8 == 0 for matrix in matrices)

    def activated(self, x: torch.Tensor, up: torch.Tensor) -> str:
        return self.name


def test_a_race_is_run_once_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: device.type)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "new"))
    results = iter([1.25, 0.9, 1.1])
    monkeypatch.setattr(linear_relu2, "race", lambda device: next(results))
    cpu, meta = torch.device("cpu"), torch.device("meta")
    assert [kernels.remembered_race(linear_relu2, gpu) for gpu in (cpu, cpu, meta)] == [1.25, 1.25, 0.9]
    assert len(list((tmp_path / "new").iterdir())) == 2
    monkeypatch.delenv("TRITON_CACHE_DIR")
    assert kernels.remembered_race(linear_relu2, cpu) == 1.1


def test_probes_draw_the_same_numbers_wherever_a_model_is_being_built() -> None:
    alone = probing.draw(3, 4, device=torch.device("cpu"))
    with torch.device("meta"):
        assert torch.equal(probing.draw(3, 4, device=torch.device("cpu")), alone)


class Faulty:
    """The kernels of polar.py with a fault, as eager code, in fp32: a CPU multiplies fp16 slowly."""

    def __init__(self, b: float, c: float) -> None:
        self.b, self.c = b, c

    def gram(self, x: torch.Tensor) -> torch.Tensor:
        return polar.gram_eager(x.float()).half()

    def polynomial(self, square: torch.Tensor, a: float, b: float, c: float) -> torch.Tensor:
        return polar.polynomial_eager(square.float(), a, self.b * b, self.c * c).half()


@pytest.mark.parametrize(
    ("b", "c", "fine"), [(1, 1, True), (0, 1, False), (1, 0, False), (1, 2, False), (1, 1.1, False)]
)
def test_the_probe_sees_a_term_that_is_wrong(b: float, c: float, fine: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polar, "_triton", lambda: Faulty(b, c))
    assert (polar.probe(torch.device("cpu")) < 0.01) is fine


def test_difference_is_relative_and_fails_on_nan() -> None:
    assert probing.difference(torch.tensor([1.01]), torch.tensor([1.0])) == pytest.approx(0.01, rel=1e-4)
    assert probing.difference(torch.tensor([float("nan")]), torch.tensor([1.0])) == 1.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("name", kernels.NAMES)
def test_every_kernel_passes_its_probe_on_a_gpu(name: str) -> None:
    verdict = kernels.tried(name, torch.device("cuda"), races=False)
    assert verdict.used, verdict.reason


# ---- the operators that a compiled step calls on a GPU; on a CPU they compute eagerly


def samples() -> dict[str, tuple]:
    torch.manual_seed(0)
    features, weight = torch.randn(6, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    up, down = torch.randn(8, 4, requires_grad=True), torch.randn(4, 8, requires_grad=True)
    return {
        "gram": (torch.randn(2, 3, 5),),
        "polynomial": (torch.randn(2, 3, 3), 4.0, -3.0, 2.0),
        "head_loss": (features, weight, torch.arange(6), 15.0),
        "mlp_relu2": (features, up, down),
    }


@pytest.mark.parametrize("name", samples())
def test_the_operators_keep_the_rules_of_torch(name: str) -> None:
    torch.library.opcheck(getattr(torch.ops.trainer, name).default, samples()[name])


def test_the_operators_differentiate_as_their_references() -> None:
    inputs = samples()
    pairs = (
        ("head_loss", cross_entropy.head_loss_reference, 2),
        ("mlp_relu2", linear_relu2.mlp_reference, 3),
    )
    for name, reference, leaves in pairs:
        compiled = torch.compile(getattr(torch.ops.trainer, name), backend="aot_eager", fullgraph=True)
        found = torch.autograd.grad(3 * compiled(*inputs[name])[0].sum(), inputs[name][:leaves])
        wanted = torch.autograd.grad(3 * reference(*inputs[name]).sum(), inputs[name][:leaves])
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a, b)


def test_the_compiled_muon_takes_any_number_without_compiling_anew() -> None:
    """As on CUDA, where learning rate, momentum and decay are tensors on the device."""
    from torch._dynamo.testing import CompileCounterWithBackend  # 3 s, and every test process collects every file

    counter = CompileCounterWithBackend("aot_eager")

    def weights_after(compiles: bool) -> torch.Tensor:
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.randn(6, 4)) for _ in range(3)]
        muon = train.Muon(parameters, 5, 0.95)
        if compiles:
            muon.update = torch.compile(muon.update_stack, backend=counter, dynamic=False)
        for step in range(4):
            for parameter in parameters:
                parameter.grad = torch.randn(6, 4)
            numbers = (0.02 / (step + 1), 0.85 + step / 100, 0.1 * step)
            muon.step(*(torch.tensor(number) if compiles else number for number in numbers))
        return torch.stack(parameters)

    torch.testing.assert_close(weights_after(True), weights_after(False))
    assert counter.frame_count == 1
