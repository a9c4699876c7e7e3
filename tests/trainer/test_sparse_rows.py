"""sparse_rows.py: tables of which a step touches a few rows.

python -m pytest tests/trainer/test_sparse_rows.py
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import sparse_rows
from trainer.kernels import row_update

VOCAB = 11


def tables(rows: int, width: int, order: int = 2) -> sparse_rows.Tables:
    return sparse_rows.Tables({order: rows}, width, torch.float32)


def test_updates_are_those_of_a_dense_adam() -> None:
    """Every row is touched in every step and one number wide, so that its second moment is its own; some twice."""
    torch.manual_seed(0)
    ours, visits, squares = torch.randn(8, 1), torch.zeros(8), torch.zeros(8)
    theirs = torch.nn.Parameter(ours[:-1].clone())
    reference = torch.optim.Adam([theirs], lr=0.05, betas=(0.0, row_update.BETA2), eps=row_update.EPSILON)
    for _ in range(20):
        places = torch.cat([torch.arange(7), torch.randint(7, (9,))])
        gradient = torch.randn(16, 1)
        row_update.update_rows(ours, squares, visits, places, gradient, 0.05)
        theirs.grad = torch.zeros_like(theirs).index_add_(0, places, gradient)
        reference.step()
    torch.testing.assert_close(ours[:-1], theirs.detach(), atol=1e-6, rtol=0)


def test_training_is_that_of_a_dense_table_whose_untouched_rows_stand_still() -> None:
    """Through autograd, with a gradient for the whole table, in fp64."""
    torch.manual_seed(0)
    ours = tables(50, 4)
    dense, squares, visits = (torch.zeros(50, n, dtype=torch.float64) for n in (4, 1, 1))
    weight = torch.randn(4, dtype=torch.float64)
    for step in range(12):
        idx = torch.randint(VOCAB, (3, 9))
        leaf = dense.clone().requires_grad_()
        keys = sparse_rows.keys(idx, 2, 50)
        (torch.nn.functional.embedding(keys, leaf).sub(weight).square().sum() * (1 + step)).backward()
        said = ours.gather(idx)
        (said.sub(weight.float()).square().sum() * (1 + step)).backward()
        ours.step(0.1)
        touched = keys.flatten().unique()
        assert leaf.grad is not None
        gradient = leaf.grad[touched]
        visits[touched] += 1
        squares[touched] = squares[touched] * 0.95 + 0.05 * gradient.square().mean(dim=1, keepdim=True)
        corrected = squares[touched] / (1 - 0.95 ** visits[touched])
        dense[touched] -= 0.1 * gradient / (corrected.sqrt() + 1e-10)
    torch.testing.assert_close(ours.table(2)[:-1].double(), dense, atol=1e-6, rtol=0)
    assert torch.equal(ours.visits[2][:-1].double(), visits[:, 0])


def test_no_gradient_of_a_whole_table_ever_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tables(100_000, 4)
    assert not list(ours.parameters())
    said = ours.gather(torch.randint(VOCAB, (2, 8)))
    said.sum().backward()
    made = []
    real = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *shape, **more: made.append(shape) or real(*shape, **more))
    ours.step(0.1)
    assert made == [((16, 4),)]
    assert ours.table(2).grad is None


def test_several_micro_batches_are_one_step() -> None:
    idx = torch.randint(VOCAB, (4, 9), generator=torch.Generator().manual_seed(0))
    whole, parts = tables(30, 4), tables(30, 4)
    whole.gather(idx).sin().add(1).square().sum().backward()
    for part in idx.split(2):
        parts.gather(part).sin().add(1).square().sum().backward()
    for one in (whole, parts):
        one.step(0.1)
        assert one.table(2)[:-1].any()
    torch.testing.assert_close(whole.table(2), parts.table(2))
    assert torch.equal(whole.visits[2], parts.visits[2])


def test_what_is_below_a_bf16_still_adds_up() -> None:
    table, squares, visits = torch.ones(2, 512, dtype=torch.bfloat16), torch.zeros(2), torch.zeros(2)
    torch.manual_seed(0)
    for _ in range(200):  # each by 0.0005, where a bf16 below 1 has steps of 0.004
        row_update.update_rows(table, squares, visits, torch.zeros(1, dtype=torch.int64), torch.ones(1, 512), 0.0005)
    assert table[0].float().mean() == pytest.approx(0.9, abs=0.005)


@given(st.lists(st.lists(st.integers(0, VOCAB - 1), min_size=12, max_size=12), min_size=1, max_size=4), st.data())
@settings(max_examples=40, deadline=None)
def test_only_what_came_before_decides(rows: list[list[int]], data: st.DataObject) -> None:
    idx = torch.tensor(rows)
    cut = data.draw(st.integers(1, 11))
    later = idx.clone()
    later[:, cut:] = (later[:, cut:] + 1) % VOCAB
    copied = sparse_rows.Copied(VOCAB, 3)
    for parameter in copied.parameters():
        torch.nn.init.normal_(parameter)
    for function in (lambda x: sparse_rows.keys(x, 3, 997), lambda x: sparse_rows.keys(x, 2, 997), copied):
        assert torch.equal(function(idx)[:, :cut], function(later)[:, :cut])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_where_a_key_stood_last(row: list[int]) -> None:
    found = sparse_rows.earlier(torch.tensor([row, row[::-1]]))
    for line, answers in zip((row, row[::-1]), found.tolist(), strict=True):
        for place, key in enumerate(line):
            earlier = [other for other in range(place) if line[other] == key]
            assert answers[place] == (earlier[-1] if earlier else -1)


def test_what_is_copied_is_what_followed_in_this_document() -> None:
    bos = VOCAB - 1
    #                     0  1  2  3  4  5  6  7    8  9
    idx = torch.tensor([[bos, 1, 2, 3, 1, 2, 4, 2, bos, 2]])
    copied = sparse_rows.Copied(VOCAB, 1)
    with torch.no_grad():
        copied.token.weight[:, 0] = torch.arange(VOCAB + 1)
    said = copied(idx)[0, :, 0].tolist()
    none = VOCAB
    assert said == [none, none, none, none, 2, 3, none, 4, none, none]  # at 7: after the token, not the bigram
    assert sparse_rows.near(torch.tensor([0, 1, 2, 3, 4, 7, 8, 4000])).tolist() == [0, 1, 2, 2, 3, 3, 4, 11]


def test_keys_spread_over_the_rows() -> None:
    pairs = torch.cartesian_prod(torch.arange(64), torch.arange(64))
    found = sparse_rows.keys(pairs, 2, 4096)[:, 1]
    assert len(found.unique()) == pytest.approx(4096 * (1 - 1 / 2.71828), rel=0.05)  # as by chance
    assert not torch.equal(found, sparse_rows.keys(pairs.flip(1), 2, 4096)[:, 1])
