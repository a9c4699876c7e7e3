"""What is so near to another change that it would hardly teach anything is known; two ideas are never taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from swarm.novelty.code import code_of
from swarm.novelty.likeness import alike
from swarm.records import Change
from tests.novelty.edits import EDITS, TRAINER, code, edited, same


def like(first: str, second: str, words: tuple[str, str] = ("", ""), before: str = TRAINER) -> bool:
    one, two = (
        Change("", code_of(code(before), code(text)).diff, said)
        for text, said in zip((first, second), words, strict=True)
    )
    assert alike(one, two) == alike(two, one)
    return alike(one, two)


def cpu(old: str, new: str) -> str:
    head, tail = TRAINER.split('"cpu": Preset', 1)
    assert old in tail
    return f'{head}"cpu": Preset{tail.replace(old, new, 1)}'


@pytest.mark.parametrize(
    ("knob", "first", "second", "near"),
    [
        ("matrix_lr=0.02", "0.04", "0.0405", True),
        ("matrix_lr=0.02", "0.04", "0.042", False),
        ("muon_momentum=0.95", "0.96", "0.97", False),
        ("muon_momentum=0.95", "0.9601", "0.9602", True),
        ("muon_momentum=0.95", "0.98", "1.0", False),
        ("depth=2", "40", "41", False),
        ("rope_base=10_000.0", "200_000.0", "201_000.0", True),
        ('activation="relu2"', "'gelu'", "'silu'", False),
        ('window_pattern="L"', "'SL'", "'SSL'", False),
    ],
)
def test_a_number_that_is_hardly_another_is_alike(knob: str, first: str, second: str, near: bool) -> None:
    name = knob.partition("=")[0]
    assert like(cpu(knob, f"{name}={first}"), cpu(knob, f"{name}={second}")) == near


BIGRAM = """
class Pairs(nn.Embedding):
    def __init__(self, tokens, width):
        super().__init__(tokens, width)
        self.pairs = nn.Embedding(5 * tokens, width)
        nn.init.zeros_(self.pairs.weight)

    def forward(self, idx):
        before = F.pad(idx[:, :-1], (1, 0))
        return super().forward(idx) + self.pairs((before * 36313 + idx) % self.pairs.num_embeddings)
"""
GATE = """
class Gate(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.matrix = Linear(width, width, 0.0)
        self.scale = nn.Parameter(torch.zeros(width))

    def forward(self, x, idx):
        return x * torch.sigmoid(self.matrix(norm(x)) + self.scale) + x.roll(1, dims=1).detach()
"""


def test_much_code_that_is_nearly_the_same_is_alike_and_a_different_one_is_not() -> None:
    plain = TRAINER + BIGRAM
    assert like(plain, TRAINER + BIGRAM.replace("before", "earlier").replace("36313", "36319"))
    assert not like(plain, TRAINER + GATE)
    other = BIGRAM.replace("(before * 36313 + idx) % self.pairs.num_embeddings", "before").replace("5 * ", "")
    other = other.replace("nn.init.zeros_(self.pairs.weight)", "nn.init.normal_(self.pairs.weight, std=0.02)")
    other = other.replace("(1, 0)", "(2, 0)").replace("Pairs", "Skips")
    assert not like(plain, TRAINER + other)
    assert like(plain, TRAINER + other, ("hashed bigram embedding", "bigram embedding, hashed"))


@settings(max_examples=15, deadline=None)
@given(EDITS, EDITS)
def test_edits_of_two_numbers_are_never_alike_and_of_one_only_if_it_hardly_moves(
    first: tuple[int, float], second: tuple[int, float]
) -> None:
    if first[0] != second[0] and not same(edited(first), TRAINER) and not same(edited(second), TRAINER):
        assert not like(edited(first), edited(second))
    if first[0] == second[0] and abs(first[1] - second[1]) > 0.05 * max(first[1], second[1]):
        assert same(edited(first), edited(second)) or not like(edited(first), edited(second))
