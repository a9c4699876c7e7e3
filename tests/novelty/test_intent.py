"""The same idea is one in whatever words, and two different ones never are."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.novelty.code import constants
from swarm.novelty.intent import intent
from swarm.records import Idea, Source

TRAINER = (Path(__file__).parents[2] / "trainer" / "train.py").read_bytes()
KNOWN = constants(Source({"trainer/train.py": TRAINER}), "cpu")


def meant(idea: Idea | str) -> str:
    return intent(idea if isinstance(idea, Idea) else Idea(idea), KNOWN)


@pytest.mark.parametrize(
    "wordings",
    [
        ("Embedding rates 0.04", "set the embedding rate to 4e-2", "embedding rate .040", "use Embedding Rate 0.04."),
        ("batch 2**18", "Batch -> 262144", "try a batch of 2^18", "batch: 262144.0", "batch size 262,144"),
        ("replace ReLU with GELU", "GELU in place of ReLU", "gelu instead of  the relu", "swap relu for gelu",
         "relu -> gelu", "change relu to GELU"),
        ("no softcap", "remove the soft cap", "drop softcap", "without soft-cap"),
        ("add two heads", "introduce 2 heads"),
        ("larger embeddings", "raise embedding", "increase the embeddings"),
        ("窗口更宽", "窗口更宽"),
    ],
)  # fmt: skip
def test_wording_and_spelling_of_numbers_do_not_count(wordings: tuple[str, ...]) -> None:
    assert len({meant(title) for title in wordings}) == 1
    assert len({intent(Idea(title)) for title in wordings}) == 1


@pytest.mark.parametrize(
    "wordings",
    [
        ("matrix_lr 0.02 -> 0.04", "set the matrix learning rate to 4e-2", "double matrix_lr", "Matrix LR: .040",
         "raise the learning rate of matrices from 0.02 to 0.04", "matrix-lr=0.04", "try matrix_lr 4E-2 again",
         Idea("bolder", knobs={"MATRIX_LR": "0.040"}), Idea("x", knobs={"matrix lr": 0.04, "depth": 2})),
        ("depth 3", "3 layers", "three layers", "n_layer 3", "number of layers -> 3",
         Idea("deeper", knobs={"depth": 3.0})),
        ("halve the weight decay", "wd 0.1", "weight_decay 0.2 -> .1", "half weight decay"),
        ("activation gelu", "use GELU activation", Idea("smooth", knobs={"activation": "gelu"})),
        ("depth 3 and matrix_lr 0.04", "matrix lr 4e-2, 3 layers", Idea("x", knobs={"matrix_lr": 0.04, "depth": 3})),
        ("rope theta 2e5", "rotary base 200,000", "rope_base 200_000"),
    ],
)  # fmt: skip
def test_a_title_that_only_turns_knobs_is_as_good_as_declared_ones(wordings: tuple[Idea | str, ...]) -> None:
    assert len({meant(idea) for idea in wordings}) == 1
    assert "=" in meant(wordings[0])


@pytest.mark.parametrize(
    "ideas",
    [
        ("replace relu with gelu", "replace gelu with relu", "relu with gelu gates"),
        ("depth 8 -> 9", "depth 9 -> 8", "depth 9", "depth 8"),
        ("warmup 0.1", "warmup 0.01", "warmup 1", "warmup by 0.1"),
        ("lr -0.1", "lr 0.1", "lr +0.1", "lr / 0.1", "lr by 0.1", "lr 0.1%"),
        ("depth 3", "depth +3", "depth x3", "depth*3", "depth / 3", "depth by 3", "depth from 3", "depth ** 3",
         "3rd depth"),
        ("窗口更宽", "窗口更窄"),
        ("!!!", "???"),
        ("batch 1048576", "batch 1048580"),
        ("total batch size 8192", "device batch size 8192", "batch size 8192"),
        ("matrix_lr 0.04", "matrix_lr 0.04 with a cosine tail", "matrix_lr 0.04 in the first layer"),
        ("halve warmup", "halve warmdown", "double warmup"),
        ("matrix_lr 0.02 -> 0.04", "matrix_lr 0.03 -> 0.04"),
        (Idea("gate values", knobs={"gate": 0.5}), Idea("gate keys", knobs={"gate": 0.5})),
        (Idea("x", knobs={"depth": 3}), Idea("x", knobs={"depth": 3, "warmup": 0.3}), Idea("x", knobs={"width": 3})),
        ("add a norm", "remove a norm", "add a norm after attention"),
    ],
)  # fmt: skip
def test_different_ideas_stay_different(ideas: tuple[Idea | str, ...]) -> None:
    for first, second in itertools.combinations(ideas, 2):
        assert meant(first) != meant(second), (first, second)


def test_half_of_a_knob_is_half_of_what_it_is_now() -> None:
    assert intent(Idea("halve the LR"), {"lr": 0.04}) == intent(Idea("LR 0.02"), {"lr": 0.04})
    assert intent(Idea("halve the LR"), {"lr": 0.03}) != intent(Idea("LR 0.02"), {"lr": 0.03})
    assert intent(Idea("halve depth"), {"depth": 3}) == "halve depth", "no whole number"
    assert intent(Idea("halve the LR"), {"head_lr": 0.04, "matrix_lr": 0.02}) == "halve lr", "which one?"


def test_knobs_say_what_an_idea_means_whatever_its_words() -> None:
    first = Idea("go deeper", knobs={"DEPTH": 9, "LR": 0.1})
    assert intent(first) == intent(Idea("9 layers", "why", "other", {"lr": "1e-1", "depth": 9.0}))
    assert intent(first) != intent(Idea("go deeper", knobs={"DEPTH": 9}))
    assert intent(first) != intent(Idea("go deeper", knobs={"DEPTH": 9, "LR": 0.2}))
    assert intent(Idea("x", knobs={"N": 2**60})) != intent(Idea("x", knobs={"N": 2**59}))
    assert intent(Idea("x", knobs={"PATTERN": "SSSL"})) != intent(Idea("x", knobs={"PATTERN": "SSLL"}))


def test_a_knob_with_its_file_is_no_other_one_of_that_name() -> None:
    turned = Idea("model.lr 0.01 -> 0.02", knobs={"config.yaml:model.lr": 0.02})
    again = Idea("model.lr 0.015 -> 0.02", knobs={"config.yaml:model.lr": 0.02})
    assert intent(turned, {"lr": 0.1}) == intent(again, {"lr": 0.1}) == "config.yaml:model.lr=0.02"
    assert intent(turned, {"lr": 0.1}) != intent(Idea("x", knobs={"lr": 0.02}), {"lr": 0.1})
    assert intent(Idea("x", knobs={"a.py:use_bias": True})) != intent(Idea("x", knobs={"a.py:use_bias": False}))


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.floats() | st.integers() | st.text(), max_size=3))
def test_every_idea_has_an_intent(title: str, knobs: dict[str, float | int | str]) -> None:
    for known in ({}, KNOWN):
        assert intent(Idea(title, knobs=knobs), known) == intent(Idea(title, knobs=knobs), known)
        assert intent(Idea(title, knobs=knobs), known) or not (title or knobs)


NAMES = sorted(name for name, value in KNOWN.items() if isinstance(value, float) and "[" not in name)
TURNS = st.tuples(st.sampled_from(NAMES), st.floats(0.001, 1000).map(lambda value: float(f"{value:.4g}")))
SAID = ("{n} {v:.4g}", "set {w} to {v:e}", "{w}: {v:.6f}", "{n} -> {v}", "raise the {w} to {v:g}", "{v:g} {w}")


@given(TURNS, TURNS, st.sampled_from(SAID), st.sampled_from(SAID))
def test_every_knob_in_every_wording(one: tuple[str, float], two: tuple[str, float], how: str, other: str) -> None:
    def said(turn: tuple[str, float], how: str) -> str:
        return meant(how.format(n=turn[0], w=turn[0].replace("_", " ").title(), v=turn[1]))

    assert (said(one, how) == said(two, other)) == (one == two)
    assert said(one, how) == meant(Idea("anything", knobs={one[0]: one[1]}))
