"""How likely a model that looks ahead now and then is found.

python -m pytest tests/trainer/test_lot.py
"""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from trainer.lot import Hints, Lot
from trainer.readers import Invalid

ROWS, CONTEXT, VOCAB, BATCH = 96, 64, 32, 16


class Rare:
    """Knows the token that comes next at a share of all places, which hang on the text alone."""

    def __init__(self, share: float, hint: float = 5.0) -> None:
        self.share, self.hint = share, hint
        generator = torch.Generator().manual_seed(1)
        self.table = torch.randn(VOCAB, VOCAB, generator=generator)
        self.chosen = torch.rand(VOCAB, VOCAB, VOCAB, generator=generator) < share

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        before, two = tokens.roll(1, 1), tokens.roll(2, 1)
        ahead = torch.nn.functional.one_hot(tokens.roll(-1, 1), VOCAB)
        return self.table[tokens] + self.hint * ahead * self.chosen[tokens, before, two][..., None]


def rows() -> np.ndarray:
    return np.random.default_rng(3).integers(0, VOCAB, (ROWS, CONTEXT + 1)).astype(np.uint16)


def listened(model: Rare, count: int, spots: int, seed: int, rounds: bool = False) -> Lot:
    """A lot that has heard the model about all rows."""
    text = rows()
    lot = Lot.draw(text, BATCH, random.Random(seed), count, spots, VOCAB, rounds)
    read = lot.overhear(model)
    for first in range(0, ROWS, BATCH):
        block = np.zeros((BATCH, CONTEXT), dtype=np.int64)
        part = text[first : first + BATCH, :-1]
        block[: len(part)] = part
        read(torch.from_numpy(block))
    return lot


def caught(model: Rare, spots: int, seed: int) -> bool:
    lot = listened(model, 0, spots, seed)
    try:
        lot.compare(model, 1e-3, spots)
    except Invalid as found:
        assert str(found).startswith("causality: ")
        return True
    return False


TABLE = [  # share of places, rows asked about, and the chance to be found
    (0.01, 64, 0.47),
    (0.0024, 64, 0.14),
    (0.0024, 2048, 0.993),
    (0.0024, 3 * 2048, 1.0),
    (0.0005, 2048, 0.64),
    (0.0005, 3 * 2048, 0.95),
]


@pytest.mark.parametrize(("share", "asked", "chance"), TABLE)
def test_the_chance_to_be_found_is_what_the_table_says(share: float, asked: int, chance: float) -> None:
    """One look ahead in so many places: each row that is asked about shows it at one place, the last before the change;
    the places further ahead show what looks further. Tried with the real lot, as often as is quick: a sum of runs is
    many such tries."""
    assert 1 - (1 - share) ** asked == pytest.approx(chance, abs=0.006)
    if asked > 2048:
        return
    model, tries = Rare(share), 60 if asked == 64 else 4
    real = float(np.mean([model.chosen[text[2:-2], text[1:-3], text[:-4]].float().mean() for text in _as_indices()]))
    expected = 1 - (1 - real) ** asked
    found = sum(caught(model, asked, seed) for seed in range(tries)) / tries
    assert abs(found - expected) < 5 * (max(expected * (1 - expected), 0.02) / tries) ** 0.5


def _as_indices() -> list[torch.Tensor]:
    return [torch.from_numpy(row.astype(np.int64)) for row in rows()]


def test_an_honest_model_is_asked_thousands_of_times_and_passes() -> None:
    assert not any(caught(Rare(0.0), 2048, seed) for seed in range(1))


def test_what_looks_far_ahead_is_found_as_well() -> None:
    class Far(Rare):
        def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
            ahead = torch.nn.functional.one_hot(tokens.roll(-20, 1), VOCAB)
            return self.table[tokens] + 0.1 * ahead

    assert caught(Far(0.0), 64, 1)


def test_hints_are_counted_for_whoever_adds_them_up() -> None:
    assert Hints.of([]) == Hints(0, 0.0, 0.0)
    assert Hints.of([1.0, 3.0]) == Hints(2, 2.0, pytest.approx(2**0.5))


class Rounding(Rare):
    """In every process other kernels: logits that are off by up to `off`, to nobody's favour."""

    def __init__(self, off: float, process: int, hint: float = 0.0) -> None:
        super().__init__(1.0, hint)
        self.off, self.process = off, process

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        logits = super().__call__(tokens)
        phase = (logits * 1e4 + self.process * 1.7) * torch.arange(1, VOCAB + 1)
        return logits + self.off / 2 * torch.sin(phase)


def test_what_two_processes_round_differently_is_no_cheat() -> None:
    lot = listened(Rounding(0.2, 1), 16, 64, 0, rounds=True)
    told = lot.compare(Rounding(0.2, 2), 0.05, 64, 0.9)
    assert 0.1 < told.floor <= 0.2
    assert told.limit == pytest.approx(3 * told.floor)
    assert 0.1 < told.moved <= 0.2
    with pytest.raises(Invalid):
        listened(Rounding(0.2, 1), 16, 64, 0).compare(Rounding(0.2, 2), 0.05, 64)


@pytest.mark.parametrize(("off", "hint"), [(0.2, 5.0), (0.2, 0.1), (0.5, 0.4)])
def test_who_rounds_differently_and_looks_ahead_is_found(off: float, hint: float) -> None:
    lot = listened(Rounding(off, 1, hint), 16, 2048, 0, rounds=True)
    with pytest.raises(Invalid, match=r"^causality: "):
        lot.compare(Rounding(off, 2, hint), 0.05, 2048, 0.9)


def test_differences_beyond_the_most_are_no_rounding() -> None:
    with pytest.raises(Invalid, match=r"^memory: "):
        listened(Rounding(1.5, 1), 16, 64, 0, rounds=True).compare(Rounding(1.5, 2), 0.05, 64, 0.9)


def test_rows_that_are_asked_about_unchanged_are_asked_about_in_no_other_way() -> None:
    lot = Lot.draw(rows(), BATCH, random.Random(0), 64, 500, VOCAB, rounds=True)
    assert len(lot.calm) == 3  # of six batches
    assert not {pick.row // BATCH for pick in (*lot.picks, *lot.spots)} & set(lot.calm)
    assert Lot.draw(rows(), BATCH, random.Random(0), 64, 500, VOCAB).calm == []
