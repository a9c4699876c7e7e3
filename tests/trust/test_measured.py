"""What only shows when it is measured: real models of edited train.pys, checked by the real rules.

python -m pytest tests/trust
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import prepare
from tests.trainer.test_referee import served
from tests.trust.edits import HONEST, MEASURED, Change
from tests.trust.test_static_gate import told
from trainer import judge, train

CPU = torch.device("cpu")
MODELS = {"learning rate", "depth", "short rows", "long rows", "another activation", "no cap", "normal weights"}
MODELS |= {"unnormalised logits are allowed", "a bias of the output", "token shift looks back", "causal mean"}
MODELS |= {"dropout, off when measured", "bf16 logits"}  # the others change how it is trained, and not what it is


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose weights are large enough to have opinions, as after training."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = train.build_model(train.PRESETS["cpu"], 512, CPU)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    train.save_model(model, 512, folder)
    return folder


@pytest.fixture
def measure(corpus: prepare.Corpus, monkeypatch: pytest.MonkeyPatch) -> Callable[[nn.Module], dict]:
    """The referee's word on a model, each of its two copies at the far end of a channel."""

    monkeypatch.setitem(prepare.EVAL_LOGITS, "cpu", 2**20)  # some batches, where a small corpus would be one

    def measure(model: nn.Module) -> dict:
        with served(model, monkeypatch) as measured, served(model, monkeypatch) as witness:
            return judge.measure(measured, witness, CPU, corpus, "val", max_tokens=16384, spots=lambda bpb: 64)

    return measure


@pytest.mark.parametrize("edited", MEASURED, ids=lambda change: change.name, indirect=True)
def test_a_cheat_is_invalid_by_name(edited: ModuleType, request, model_folder: Path, measure) -> None:
    change: Change = request.node.callspec.params["edited"]
    assert told(change.code) == "", "the gate sees it already"
    with pytest.raises(judge.Invalid, match=f"^({change.check}): "):
        measure(edited.load_model(model_folder, CPU))


@pytest.mark.parametrize(
    "edited", [change for change in HONEST if change.name in MODELS], ids=lambda change: change.name, indirect=True
)
def test_honest_edits_are_measured_and_their_number_is_the_metrics(
    edited: ModuleType, tmp_path: Path, corpus, measure
) -> None:
    torch.manual_seed(0)
    model = edited.build_model(edited.PRESETS["cpu"], corpus.vocab_size, CPU)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    edited.save_model(model, corpus.vocab_size, tmp_path)
    answer = measure(edited.load_model(tmp_path, CPU))
    plain = prepare.evaluate_bpb(model.eval(), CPU, context=model.seq_len, corpus=corpus, max_tokens=16384)
    assert answer["val_bpb"] == pytest.approx(plain.bpb, abs=1e-4)
