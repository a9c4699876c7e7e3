"""The bench measures what it can where it runs, and says of everything else why not.

python -m pytest tests/trainer/bench/test_bench.py
"""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from trainer import train
from trainer.bench import plain, rows
from trainer.bench.__main__ import main

OTHER = Path(__file__).with_name("other_train.py")
CPU = torch.device("cpu")


def table(result: subprocess.CompletedProcess[str], path: Path) -> dict[tuple[str, str], dict]:
    assert result.returncode == 0, result.stderr
    content = json.loads(path.read_text())
    assert set(content["machine"]) == {"date", "device", "torch", "python"}
    for row in content["rows"]:
        assert row["what"] in result.stdout
    return {(row["part"], row["what"]): row for row in content["rows"]}


def test_the_parts_of_a_step(workspace: Path, run, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    arguments = ["--only", "attention,muon,fused,parity", "--json", str(path)]
    found = table(run(workspace, "trainer.bench", *arguments), path)
    assert found["attention", "sdpa, full, 2 x 1024"]["value"] > 0
    assert found["attention", "fa2, full, 2 x 1024"] == {
        "part": "attention", "what": "fa2, full, 2 x 1024", "value": None, "unit": "ms", "note": rows.NEEDS_GPU,
    }  # fmt: skip
    assert found["muon", "eager"]["value"] > 0
    assert found["muon", "error of float16"]["value"] < found["muon", "error of bfloat16"]["value"]
    assert found["parity", "polar"]["note"] == rows.NEEDS_GPU
    unexplained = [key for key, row in found.items() if row["value"] is None and not row["note"]]
    assert not unexplained


@pytest.mark.slow
def test_a_whole_step_beside_plain_torch(workspace: Path, run, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    found = table(run(workspace, "trainer.bench", "--only", "step", "--json", str(path)), path)
    for what in (("step", "tokens/s"), ("step", "plain torch.nn, tokens/s"), ("loader", "packed, 128 x 2048")):
        assert found[what]["value"] > 0, what


def test_another_train_py_runs_on_the_same_data(workspace: Path, run, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    arguments = ["--against", str(OTHER), "--budget", "0.7", "--json", str(path)]
    found = table(run(workspace, "trainer.bench", *arguments), path)
    for who in ("theirs", "ours"):
        assert found[who, "tokens/s"]["value"] > 0
        assert 0.3 < found[who, "val_bpb"]["value"] < 3
    assert "x theirs" in found["ours", "val_bpb"]["note"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "sound"], "--only sound: the parts are attention"),
        (["--against", "nowhere/train.py"], "there is no such file"),
        (["--against", __file__], "failed"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_line(
    arguments: list[str], words: str, corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWARM_DEVICE", "cpu")
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert words in message
    assert len(message.splitlines()) == 1


def test_the_plain_model_is_the_same_function() -> None:
    preset = train.PRESETS["cpu"]
    torch.manual_seed(0)
    model, twin = train.build_model(preset, 64, CPU), plain.PlainGPT(preset, 64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    state = {name.replace("attention.", "").replace("mlp.", ""): value for name, value in model.state_dict().items()}
    missing, unexpected = twin.load_state_dict(state, strict=False)
    assert set(missing) == {"cos", "sin"}
    assert not unexpected
    idx = torch.randint(64, (2, preset.seq_len))
    with torch.no_grad():
        torch.testing.assert_close(twin(idx), model(idx), atol=1e-4, rtol=1e-4)
