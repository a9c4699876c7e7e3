"""The parts measure what they name: errors of kernels show, and a rung is measured with its own kernels only.

python -m pytest tests/trainer/bench/test_parts.py
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn.attention import _registry, current_flash_attention_impl, restore_flash_attention_impl

from trainer import attention, kernels, train
from trainer.bench import parts
from trainer.kernels import polar

CPU = torch.device("cpu")


@pytest.mark.parametrize("dropped", range(3))
def test_a_kernel_without_one_of_its_terms_shows_in_the_error(dropped: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    stacks = parts.product_stacks(train.PRESETS["cpu"], CPU, torch.float32)
    right, exact = parts.products(stacks), polar.polynomial_eager

    def wrong(square: torch.Tensor, *terms: float) -> torch.Tensor:
        return exact(square, *(0.0 if place == dropped else term for place, term in enumerate(terms)))

    monkeypatch.setattr(polar, "polynomial_eager", wrong)
    assert parts.products_error(parts.products(stacks), right) > 0.3  # the row aims at 0.01
    assert parts.products_error(right, right) == 0.0


@pytest.fixture
def fa3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A FlashAttention 3 that torch can activate here: it says who is active and changes no kernel."""

    class Handle:
        def remove(self) -> None: ...

    monkeypatch.setitem(_registry._FLASH_ATTENTION_IMPLS, "FA3", Handle)
    yield
    if current_flash_attention_impl():
        restore_flash_attention_impl()


def test_a_rung_that_fails_is_left_and_says_why(fa3: None) -> None:
    def fails(_kernel: attention.Kernel) -> None:
        assert current_flash_attention_impl() == "FA3"
        raise RuntimeError("knows no windows\nand more")

    row = parts.rung_row("fa3", "fa3, window", fails, CPU)
    assert (row.value, row.note) == (None, "knows no windows")
    assert current_flash_attention_impl() is None


def test_every_rung_is_measured_alone_and_the_chosen_one_is_in_force_again(
    fa3: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = []

    def choose(*_arguments: object) -> attention.Attend:
        return attention.Attend("fa3", "passed its probe", attention.load_fa3())

    def load() -> attention.Kernel:
        active.append(current_flash_attention_impl())
        return attention.sdpa

    monkeypatch.setattr(attention, "choose", choose)
    monkeypatch.setitem(parts.RUNGS, "sdpa", load)
    monkeypatch.setattr(parts, "milliseconds", lambda function, device: 1.0)
    found = list(parts.attention_rows(CPU))
    assert found[0].what == "chosen: fa3"
    assert active == [None, None]
    assert current_flash_attention_impl() == "FA3"


def test_a_kernel_that_cannot_run_is_not_measured_as_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "tried", lambda name, device, races: kernels.Verdict(name, False, "off by 0.5"))
    assert parts.why_eager("polar", torch.device("cuda")) == "off by 0.5"
    assert parts.why_eager("polar", CPU) == parts.NEEDS_GPU
