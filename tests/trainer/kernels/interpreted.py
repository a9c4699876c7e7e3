"""The cases of test_kernels.py. Started with TRITON_INTERPRET=1 and the names of cases; each has a process of its own,
which is forked when all is imported."""

import itertools
import os
import sys
import traceback
from types import ModuleType

import torch

from trainer import probing, train
from trainer.kernels import cross_entropy, linear_relu2, linear_relu2_tma_triton, linear_relu2_triton, polar, row_update
from trainer.kernels.cross_entropy_triton import cross_entropy_
from trainer.kernels.polar_triton import gram, polynomial
from trainer.kernels.row_update_triton import update_sorted

torch.set_num_threads(1)
TOLERANCE = {torch.float32: 1e-6, torch.float16: 2e-3}  # relative to a result in fp64 of the same rounded input
# Odd sizes, one tile, several tiles, wide and tall.
SHAPES = [(1, 5, 32), (3, 96, 33), (2, 64, 64), (1, 130, 70), (2, 33, 96), (1, 1, 1)]


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def close(found: torch.Tensor, wanted: torch.Tensor, what: object) -> None:
    error = probing.difference(found, wanted)
    assert error < TOLERANCE[found.dtype], f"{what}: off by {error:.3g}"


def products() -> None:
    """What they should be, and symmetric to the last bit."""
    for shape, dtype in itertools.product(SHAPES, TOLERANCE):
        x = draw(*shape, dtype=dtype)
        square = gram(x)
        close(square, polar.gram_eager(x.double()), (shape, dtype))
        assert torch.equal(square, square.mT), shape
        low = square / shape[2]
        bent = polynomial(low, 4.0, -3.0, 2.0)
        close(bent, polar.polynomial_eager(low.double(), 4.0, -3.0, 2.0), (shape, dtype))
        assert torch.equal(bent, bent.mT), shape


def strides() -> None:
    """Transposed, cut out, and with every other column: nothing is copied first, and nothing is read wrongly."""
    base = draw(4, 70, 90)
    for x in (base.mT, base[1:3, 3:50, 5:77], base[..., ::2], base[::2].mT[:, ::3], base.expand(4, 70, 90)):
        close(gram(x), polar.gram_eager(x.double()), (x.shape, x.stride()))


def offsets() -> None:
    """More tiles than the square root in fp32 can tell apart exactly: the integers must correct it."""
    for tile in [*range(3000), *(i * (i + 1) // 2 + d for i in (5000, 20000, 46000) for d in (-1, 0, 1))]:
        i = int(((torch.tensor(8.0 * tile + 1.0, dtype=torch.float32).sqrt() - 1.0) / 2.0).item())
        i = i - 1 if i * (i + 1) // 2 > tile else i
        i = i + 1 if (i + 1) * (i + 2) // 2 <= tile else i
        assert i * (i + 1) // 2 <= tile < (i + 1) * (i + 2) // 2, tile
    x = draw(1, 250, 3)  # 36 tiles of 32
    close(gram(x), polar.gram_eager(x.double()), x.shape)


def optimizer_steps() -> None:
    """Muon on the kernels moves the weights as Muon on their references does."""
    results = []
    for functions in ((gram, polynomial), (polar.gram_eager, polar.polynomial_eager)):
        polar.gram, polar.polynomial = functions
        parameters = [torch.nn.Parameter(draw(*shape)) for shape in ((20, 36), (36, 20), (20, 36), (33, 33))]
        muon = train.Muon(parameters, 5, 0.95)
        for step in range(2):
            for number, parameter in enumerate(parameters):
                parameter.grad = draw(*parameter.shape).roll(step + number, 0)
            muon.step(0.05, 0.9, 0.1)
        results.append(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    error = probing.difference(*results)
    assert error < 1e-4, f"weights differ by {error:.3g}"


def one_pass() -> None:
    for (tokens, vocabulary), dtype, cap in itertools.product(
        [(5, 7), (3, 512), (2, 1000)], TOLERANCE, (0.0, 2.0, 15.0)
    ):
        logits = 4 * draw(tokens, vocabulary, dtype=dtype)
        targets = torch.arange(tokens) * 7919 % vocabulary
        exact = logits.double().requires_grad_()
        bent = cap * torch.tanh(exact / cap) if cap else exact
        wanted = torch.nn.functional.cross_entropy(bent, targets, reduction="none")
        [gradient] = torch.autograd.grad(wanted.sum(), exact)
        found = logits.clone()
        losses = cross_entropy_(found, targets, cap)
        close(losses, wanted.detach(), (tokens, vocabulary, dtype, cap))
        close(found, gradient, (tokens, vocabulary, dtype, cap))
        eager = logits.clone()
        close(cross_entropy.cross_entropy_eager_(eager, targets, cap), wanted.detach(), "eager losses")
        close(eager, gradient, "eager gradient")
    padded = draw(4, 24)[:, :20]
    dense = padded.clone()
    close(cross_entropy_(padded, torch.arange(4), 3.0), cross_entropy_(dense, torch.arange(4), 3.0), "strided rows")
    close(padded, dense, "strided rows")
    try:
        cross_entropy_(draw(20, 4).T, torch.arange(4), 0.0)
    except ValueError as error:
        assert "dense along the vocabulary" in str(error)
    else:
        raise AssertionError("transposed logits were accepted")


def head() -> None:
    """The whole head on the kernel, chunked so that the last chunk is a smaller one."""
    cross_entropy.cross_entropy_ = cross_entropy_
    cross_entropy.CHUNK["cpu"] = 64 * 3
    features, weight = draw(10, 12), draw(64, 12)
    targets = torch.arange(10)
    results = []
    for function in (cross_entropy.head_loss, cross_entropy.head_loss_reference):
        x, w = features.clone().requires_grad_(), weight.clone().requires_grad_()
        loss = function(x, w, targets, 5.0)
        results.append([loss.detach(), *torch.autograd.grad(3 * loss, (x, w))])
    for found, wanted in zip(*results, strict=True):
        close(found, wanted, found.shape)


def mlp() -> None:
    products_of_mlp(linear_relu2_triton, [(5, 3, 7), (70, 33, 65), (300, 16, 40)])
    wide = draw(40, 66)
    x, up = wide[:, ::2], wide.T[:21, :33]
    close(linear_relu2_triton.activated(x, up), linear_relu2.activated_eager(x.double(), up.double()), "strides")


def persistent_mlp() -> None:
    """One tile and less, more tiles than programs, and none of a size that fills its last tile."""
    products_of_mlp(linear_relu2_tma_triton, [(5, 8, 16), (70, 40, 72), (300, 16, 40), (64, 32, 128)])
    fits = linear_relu2_tma_triton.fits
    dense = draw(40, 64)
    assert fits(dense, dense.half())
    for matrix in (dense[:, ::2], dense.T, dense[:, :32], draw(40, 33), draw(40, 36, dtype=torch.float16)):
        assert not fits(dense, matrix), (matrix.shape, matrix.stride())


def products_of_mlp(kernel: ModuleType, shapes: list[tuple[int, int, int]]) -> None:
    for (tokens, width, hidden), dtype in itertools.product(shapes, TOLERANCE):
        x, up = draw(tokens, width, dtype=dtype), draw(hidden, width, dtype=dtype)
        down, d_out = draw(width, hidden, dtype=dtype), draw(tokens, width, dtype=dtype)
        post = linear_relu2.activated_eager(x.double(), up.double())
        close(kernel.activated(x, up), post, (tokens, width, hidden, dtype))
        low = post.to(dtype)
        wanted = linear_relu2.slanted_eager(d_out.double(), down.double(), low.double())
        close(kernel.slanted(d_out, down, low), wanted, (tokens, width, hidden, dtype))


def rows_of_tables() -> None:
    """Rows touched once, never, and by more places than a program takes at a time; in bf16 by lot, and right in the
    mean."""
    for width, count in ((1, 9), (33, 60), (600, 40)):
        places, order = (torch.arange(count) ** 3 % 7 * torch.arange(count) % 11).sort()
        results = []
        for update in (update_sorted, row_update.update_sorted_eager):
            table, squares, visits = draw(13, width), torch.zeros(13), torch.zeros(13)
            for step in range(3):
                update(table, squares, visits, places, order, draw(count, width).roll(step, 0), 0.05, 0.95)
            results.append((table[:-1], squares[:-1], visits[:-1]))
        for found, wanted in zip(*results, strict=True):
            close(found, wanted, (width, count))
    table, squares, visits = torch.ones(2, 512, dtype=torch.bfloat16), torch.zeros(2), torch.zeros(2)
    none = torch.zeros(1, dtype=torch.int64)
    torch.manual_seed(0)
    for _ in range(60):  # each by 0.0005, where a bf16 below 1 has steps of 0.004
        update_sorted(table, squares, visits, none, none, torch.ones(1, 512), 0.0005, 0.95)
    assert abs(table[0].float().mean() - 0.97) < 0.003
    assert bool((table[1] == 1).all())


CASES = {
    "polar": (products, strides, offsets, optimizer_steps),
    "cross_entropy": (one_pass, head),
    "linear_relu2": (mlp,),
    "linear_relu2_tma": (persistent_mlp,),
    "row_update": (rows_of_tables,),
}


def passes(name: str) -> bool:
    sys.stdout.flush()
    if child := os.fork():
        return os.waitpid(child, 0)[1] == 0
    try:
        for case in CASES[name]:
            case()
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name} {'passed' if passes(name) else 'failed'}", flush=True)
