"""start.py: what fits the memory, and that every parameter is trained.

python -m pytest tests/trainer/test_start.py
"""

import gc
import re
import time
from dataclasses import dataclass
from itertools import pairwise
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import start


@dataclass(frozen=True)
class Step:
    total_batch_size: int
    seq_len: int = 8


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 64), parts=st.integers(1, 64), most=st.integers(1, 64))
def test_micro_batches_shrink_until_they_fit_and_divide_a_step(rows: int, parts: int, most: int) -> None:
    shape = Step(rows * parts * 8)
    tried = []

    def attempt(size: int) -> None:
        tried.append(size)
        if size > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with mock.patch.object(gc, "collect"):  # a test process has much to go through, and nothing on a GPU
        found = start.fit(rows, shape, attempt)
    assert found <= most and tried[-1] == found and (rows * parts) % found == 0
    assert all(2 * after <= before for before, after in pairwise(tried))


def test_a_model_that_does_not_fit_at_all_ends_in_one_line() -> None:
    def attempt(rows: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore words")

    with pytest.raises(start.SetupError, match=r"even with one row at a time: CUDA out of memory\.$"):
        start.fit(8, Step(64), attempt)


def test_every_parameter_is_in_exactly_one_group_or_is_named() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    every = list(model.parameters())
    start.check_trained(model.named_parameters(), [every[:1], every[1:]])
    with pytest.raises(start.SetupError, match=re.escape("the parameter 1.bias is in no optimizer group")):
        start.check_trained(model.named_parameters(), [every[:-1]])
    with pytest.raises(start.SetupError, match=re.escape("the parameter 0.weight is in 2 optimizer groups")):
        start.check_trained(model.named_parameters(), [every, every[:1]])
    every[-1].requires_grad_(False)
    start.check_trained(model.named_parameters(), [every[:-1]])


def test_phases_add_up_from_the_start_of_the_process() -> None:
    phases = start.Phases()
    time.sleep(0.05)
    phases.mark("probes")
    assert list(phases.seconds) == ["import", "probes"]
    assert phases.seconds["import"] > 0.05  # this process imported torch
    assert 0.05 <= phases.seconds["probes"] < 60
    assert re.fullmatch(r"import \d+\.\d s, probes \d+\.\d s", str(phases))
