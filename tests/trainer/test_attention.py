"""Every rung computes what the reference spells out, forward and backward.

python -m pytest tests/trainer/test_attention.py
"""

import sys
import types

import pytest
import torch

from trainer import attention

SHAPES = [(1, 1), (2, 7), (1, 100), (1, 300), (2, 384)]
WINDOWS = [-1, 0, 1, 5, 31, 64, 1000]


def tensors(batch: int, length: int, heads: int = 2, dim: int = 16) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(length)
    return [torch.randn(batch, length, heads, dim, generator=generator, requires_grad=True) for _ in range(3)]


def outputs_and_gradients(kernel, inputs: list[torch.Tensor], window: int) -> list[torch.Tensor]:
    out = kernel(*inputs, window)
    weight = torch.linspace(-1, 1, out.numel(), device=out.device).view(out.shape)
    return [out, *torch.autograd.grad((out.float() * weight).sum(), inputs)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("window", WINDOWS)
def test_sdpa_equals_the_reference_forward_and_backward(shape: tuple[int, int], window: int) -> None:
    inputs = tensors(*shape)
    found = outputs_and_gradients(attention.sdpa, inputs, window)
    wanted = outputs_and_gradients(attention.reference, inputs, window)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


def test_a_window_of_w_sees_exactly_w_keys_to_the_left() -> None:
    q, k, _ = tensors(1, 300)
    v = torch.eye(300)[None, :, None].expand(1, 300, 2, 300)  # the output shows which keys were seen
    seen = attention.sdpa(q, k, v, 40)[0, :, 0] > 0
    row, column = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
    assert torch.equal(seen, (row >= column) & (row - column <= 40))


def test_long_rows_with_short_windows_are_banded(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    plain = torch.nn.functional.scaled_dot_product_attention

    def spy(q, k, v, **options):
        sizes.append((q.shape[2], k.shape[2]))
        return plain(q, k, v, **options)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", spy)
    attention.sdpa(*tensors(1, 512), 64)
    assert max(keys for _, keys in sizes) == 128, "a window of 64 must not compute all 512 keys"


def test_choose_says_what_and_why_on_a_cpu() -> None:
    attend = attention.choose(torch.device("cpu"), torch.float32, 16)
    assert attend.name == "sdpa"
    assert "cpu" in attend.reason
    inputs = tensors(1, 9)
    torch.testing.assert_close(attend(*inputs, 3), attention.reference(*inputs, 3))


def test_the_probe_accepts_right_kernels_and_names_what_is_wrong_with_others() -> None:
    cpu = torch.device("cpu")

    def unsupported(q, k, v, window):
        raise NotImplementedError("no such kernel here\nwith details")

    assert attention.probe(attention.sdpa, cpu, torch.float32, 16) is None
    assert attention.probe(lambda q, k, v, window: attention.sdpa(q, k, v, -1), cpu, torch.float32, 16) is not None
    assert attention.probe(unsupported, cpu, torch.float32, 16) == "no such kernel here"


# ---- the ladder of NVIDIA GPUs, as far as it can be climbed without one


@pytest.mark.parametrize(
    ("capability", "names"),
    [
        ((7, 5), []),
        ((8, 0), ["fa2"]),
        ((8, 9), ["fa2"]),
        ((9, 0), ["fa4", "fa3", "cudnn+fa2", "fa2"]),
        ((10, 0), ["fa4", "cudnn+fa2", "fa2"]),
        ((12, 0), ["fa2"]),
    ],
    ids=str,
)
def test_the_rungs_of_a_gpu(capability: tuple[int, int], names: list[str]) -> None:
    assert list(attention.rungs(capability)) == names


def climb(**ladder) -> attention.Attend:
    return attention.climb(ladder, torch.device("cpu"), torch.float32, 16)


def test_the_first_rung_that_works_is_taken_and_the_others_are_explained() -> None:
    def missing():
        raise ModuleNotFoundError("No module named 'flash_attn'")

    attend = climb(
        fa4=missing, fa3=lambda: lambda q, k, v, window: attention.sdpa(q, k, v, -1), fa2=lambda: attention.sdpa
    )
    assert attend.name == "fa2"
    assert attend.kernel is attention.sdpa
    assert "fa4: No module named 'flash_attn'" in attend.reason
    assert "fa3: output off by" in attend.reason
    assert climb(fa4=missing).name == "sdpa"
    assert "older than Ampere" in climb().reason


def test_a_wrong_gradient_is_noticed() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, q, k, v, window):
            return attention.sdpa(q, k, v, window)

        @staticmethod
        def backward(ctx, d_out):
            return d_out, d_out, d_out, None

    problem = attention.probe(Wrong.apply, torch.device("cpu"), torch.float32, 16)
    assert problem is not None
    assert problem.startswith("dq off by")


@pytest.fixture
def fa4(monkeypatch: pytest.MonkeyPatch):
    """The package's private interface as its release 4.0.0b36 has it, computed by the reference."""

    def scores(q, k, causal, left):
        mask = attention._mask(q.shape[1], q.shape[1], 0, -1 if causal else left, q.device)
        return (torch.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5).masked_fill(~mask, float("-inf"))

    def forward(q, k, v, *, return_lse, causal, window_size_left, window_size_right):
        assert return_lse
        calls.append((causal, window_size_left, window_size_right))
        lse = scores(q, k, causal, window_size_left).logsumexp(-1)
        out = attention.reference(q, k, v, -1 if causal else window_size_left)
        return out.contiguous(), lse, None, None, None

    def backward(q, k, v, out, d_out, lse, *, causal, window_size_left, window_size_right):
        share = (scores(q, k, causal, window_size_left) - lse[..., None]).exp()
        d_share = torch.einsum("bqhd,bkhd->bhqk", d_out, v) - torch.einsum("bqhd,bqhd->bhq", d_out, out)[..., None]
        d_scores = share * d_share * q.shape[-1] ** -0.5
        dq = torch.einsum("bhqk,bkhd->bqhd", d_scores, k)
        dk = torch.einsum("bhqk,bqhd->bkhd", d_scores, q)
        return dq, dk, torch.einsum("bhqk,bqhd->bkhd", share, d_out)

    calls: list[tuple[bool, int | None, int | None]] = []
    package = types.SimpleNamespace(_flash_attn_fwd=forward, _flash_attn_bwd=backward, calls=calls)
    monkeypatch.setitem(sys.modules, "flash_attn.cute.interface", package)
    monkeypatch.setitem(sys.modules, "flash_attn.cute", types.ModuleType("flash_attn.cute"))
    monkeypatch.setitem(sys.modules, "flash_attn", types.ModuleType("flash_attn"))
    attention.load_fa4.cache_clear()
    yield package
    attention.load_fa4.cache_clear()


def test_fa4_is_called_with_the_windows_it_knows_and_differentiates(fa4) -> None:
    kernel = attention.load_fa4()
    assert attention.probe(kernel, torch.device("cpu"), torch.float32, 16) is None
    assert fa4.calls == [(True, None, None), (False, 32, 0)]
    kernel(*tensors(1, 9), 100)  # a window beyond the row is none
    assert fa4.calls[-1] == (True, None, None)

    inputs = [tensor.detach().requires_grad_() for tensor in tensors(2, 12)]
    torch.library.opcheck(torch.ops.trainer.fa4.default, (*inputs, 5))
    compiled = torch.compile(lambda q, k, v: kernel(q, k, v, 5) * 2, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*inputs), 2 * attention.reference(*inputs, 5))


def test_fa3_that_is_not_there_leaves_torch_as_it_was() -> None:
    attend = climb(fa3=attention.load_fa3)
    assert attend.name == "sdpa"
    assert "flash_attn_interface" in attend.reason


def test_torch_still_has_the_operators_that_the_ladder_calls() -> None:
    """Their arguments are not documented; a release of torch that changes them must show here, without a GPU."""
    arguments = {argument.name for argument in torch.ops.aten._flash_attention_forward.default._schema.arguments}
    assert {"max_q", "max_k", "is_causal", "window_size_left", "window_size_right"} <= arguments
    names = [a.name for a in torch.ops.aten._scaled_dot_product_cudnn_attention.default._schema.arguments]
    assert names[3:7] == ["attn_bias", "compute_log_sumexp", "dropout_p", "is_causal"]
    meta = [torch.empty(2, 64, 3, 16, device="meta", dtype=torch.bfloat16) for _ in range(3)]
    for window in (-1, 8):
        assert attention.flash(*meta, window).shape == (2, 64, 3, 16)
    assert attention.cudnn_and_flash(*meta, -1).shape == (2, 64, 3, 16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("window", [-1, 256])
def test_the_chosen_rung_equals_the_reference_on_a_gpu(window: int) -> None:
    attend = attention.choose(torch.device("cuda"), torch.bfloat16, 128)
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(2, 2048, 5, 128, generator=generator).to("cuda", torch.bfloat16).requires_grad_() for _ in range(3)
    ]
    found = outputs_and_gradients(attend, inputs, window)
    wanted = outputs_and_gradients(attention.reference, inputs, window)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.float(), b.float(), atol=3e-2, rtol=3e-2)
    if torch.cuda.get_device_capability() >= (8, 0):
        assert attend.name != "sdpa", attend.reason


def test_a_rung_that_fails_without_a_word_is_passed_over() -> None:
    def load() -> attention.Kernel:
        raise AssertionError

    chosen = climb(fa4=load)
    assert (chosen.name, chosen.reason) == ("sdpa", "nothing faster works here; fa4: AssertionError")
