"""The referee accepts honest models and names what is wrong with others.

python -m pytest tests/trainer/test_referee.py
"""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.trainer.conftest import edit
from trainer import referee

CPU = torch.device("cpu")
VOCAB = 512


class Honest(nn.Module):
    """Predicts from the current token and the mean of all earlier ones."""

    seq_len = 64

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(VOCAB, 8, generator=generator))
        self.head = nn.Parameter(torch.randn(8, VOCAB, generator=generator))

    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.cumsum(dim=1) / torch.arange(1, x.shape[1] + 1)[:, None]

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        return self.mix(self.table[idx]) @ self.head


class Clairvoyant(Honest):
    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.roll(-1, dims=1)


class SlightlyClairvoyant(Honest):
    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.01 * x.mean(dim=1, keepdim=True)


class Gossip(Honest):
    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=0, keepdim=True).cumsum(dim=1) / x.shape[1]


class Learner(Honest):
    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.head[:, idx.flatten()] += 1e-3
        return super().forward(idx)


class Undecided(Honest):
    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        return super().forward(idx) * float("nan")


class Narrow(Honest):
    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        return super().forward(idx)[..., :-1]


class Loser(Honest):
    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, int]:
        return super().forward(idx), 0


class Endless(Honest):
    seq_len = 10**6


def measure(model: nn.Module, corpus) -> dict:
    return referee.check_and_measure(model, CPU, corpus, "val", max_tokens=2048)


def test_an_honest_model_is_measured(corpus) -> None:
    answer = measure(Honest(), corpus)
    assert answer["tokens"] == 2048
    assert answer["val_bpb"] > 0
    assert answer["split"] == "val"


@pytest.mark.parametrize(
    ("model", "check"),
    [
        (Clairvoyant, "causality"),
        (SlightlyClairvoyant, "causality"),
        (Gossip, "rows"),
        (Learner, "causality|rows|memory"),
        (Undecided, "finite"),
        (Narrow, "shape"),
        (Loser, "shape"),
        (Endless, "context"),
    ],
)
def test_a_model_that_breaks_a_rule_is_invalid_by_name(model: type[nn.Module], check: str, corpus) -> None:
    with pytest.raises(referee.Invalid, match=f"^({check}): "):
        measure(model(), corpus)


def test_the_answer_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    referee.write_answer(tmp_path, {"val_bpb": 1.0})
    with pytest.raises(TypeError):
        referee.write_answer(tmp_path, {"val_bpb": object()})
    assert json.loads((tmp_path / "referee.json").read_text()) == {"val_bpb": 1.0}


def test_a_candidate_that_reads_ahead_is_caught_end_to_end(workspace: Path, run, tmp_path: Path) -> None:
    edit(workspace, "self.head(self.features(idx))", "self.head((x := self.features(idx)) + x.mean(1, True))")
    folder = tmp_path / "run"
    trained = run(workspace, "trainer.train", SWARM_RUN_DIR=str(folder), TIME_BUDGET="1")
    assert trained.returncode == 0, trained.stderr
    result = run(workspace, "trainer.referee", SWARM_RUN_DIR=str(folder))
    assert result.returncode == 3, result.stderr
    answer = json.loads((folder / "referee.json").read_text())
    assert list(answer) == ["invalid"]
    assert answer["invalid"].startswith("causality: ")


def test_without_a_model_the_referee_says_so(workspace: Path, run, tmp_path: Path) -> None:
    for folder in (None, str(tmp_path)):
        result = run(workspace, "trainer.referee", SWARM_RUN_DIR=folder)
        assert result.returncode == 2
        assert "train there first" in result.stderr
        assert len(result.stderr.splitlines()) == 1
