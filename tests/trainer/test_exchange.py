"""exchange.py: logits that cross through host memory.

python -m pytest tests/trainer/test_exchange.py
"""

import os
from collections.abc import Iterator

import pytest
import torch

from trainer.exchange import Exchange, memory, sizes

SHAPE = [2, 3, 5]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    memories = memory("inputs"), memory("logits")
    for number, size in zip(memories, sizes(SHAPE), strict=True):
        os.ftruncate(number, size)
    yield Exchange(memories, SHAPE, torch.device("cpu"))
    for number in memories:
        os.close(number)


def test_on_a_cpu_nothing_is_rounded(exchange: Exchange) -> None:
    exchange.keep_to_host()
    logits = torch.randn(SHAPE)
    exchange.put(logits)
    assert torch.equal(exchange.answer(), logits)


def test_in_halves_the_logits_take_half_the_bytes_and_are_off_by_less_than_they_may_move(exchange: Exchange) -> None:
    exchange.halve()
    logits = 16 * (2 * torch.rand(SHAPE) - 1)
    exchange.put(logits)
    assert exchange.logits.nbytes == logits.nbytes / 2
    assert exchange.logits.data_ptr() == exchange._host.data_ptr()
    answer = exchange.answer()
    assert answer.dtype == torch.float32 and answer.shape == torch.Size(SHAPE)
    assert (answer - logits).abs().max() <= 0.004


def test_what_halves_do_not_hold_is_the_largest_that_they_do_and_what_is_no_number_stays(exchange: Exchange) -> None:
    exchange.halve()
    logits = torch.zeros(SHAPE)
    logits[0, 0] = torch.tensor([-1e9, 1e9, torch.inf, -torch.inf, torch.nan])
    exchange.put(logits)
    found = exchange.answer()[0, 0].tolist()
    assert found[:4] == [-65504.0, 65504.0, torch.inf, -torch.inf] and found[4] != found[4]
