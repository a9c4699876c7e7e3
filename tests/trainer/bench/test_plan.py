"""Inductor's plan for an H100, looked at without one.

python -m pytest tests/trainer/bench/test_plan.py
"""

import importlib.util
from collections import Counter

import pytest
import torch

from trainer import train
from trainer.bench import plan

SMALL = ["depth=1", "width=128", "total_batch_size=4096", "muon_steps=1"]
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")


@needs_triton
@pytest.mark.slow
def test_a_step_is_planned_for_a_gpu_that_is_not_there() -> None:
    found = plan.step_of(plan.changed(train.PRESETS["cuda"], SMALL), ("polar", "cross_entropy", "linear_relu2"))
    calls = Counter((launch.phase, launch.name) for launch in found if launch.kind == "operator")
    for phase, name in (("forward", "head_loss"), ("forward", "mlp_relu2"), ("backward", "mlp_relu2_backward")):
        assert calls[phase, f"torch.ops.trainer.{name}.default"] == 1, calls
    assert calls["Muon", "torch.ops.trainer.gram.default"] == 4, "one iteration, four shapes of matrices"
    tokens, width = 4096, 128
    [mlp] = [launch for launch in found if launch.name == "torch.ops.trainer.mlp_relu2.default"]
    matrices = 2 * tokens * width + 4 * tokens * width + 2 * 4 * width * width  # x, result, activations; up and down
    assert mlp.bytes == 2 * matrices
    kinds = Counter((launch.phase, launch.kind) for launch in found)
    assert kinds["forward", "product"] == 3, "one for queries, keys and values; the gate; what attention writes"
    assert kinds["forward", "pass"] > 0 and kinds["backward", "pass"] > 0 and kinds["Muon", "pass"] > 0
    assert not torch.cuda.is_available() or torch.cuda.device_count() > 0, "what was pretended is over"
    assert len(plan.table({"these": found})) == 2 + len(kinds) + 1


def test_a_torch_that_does_not_allow_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def changed(*_arguments: object) -> None:
        raise AttributeError("GraphLowering has no codegen")

    monkeypatch.setattr(plan, "planning", changed)
    assert plan.main([]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(f"plan: torch {torch.__version__} does not let")


@pytest.mark.parametrize("setting", ["dpeth=2", "depth=two", "width=100"])
def test_a_preset_that_there_is_not_is_refused(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--set", setting]) == 2
    assert capsys.readouterr().err.count("\n") == 1
