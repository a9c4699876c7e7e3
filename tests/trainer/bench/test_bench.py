"""The bench measures what it can where it runs, and says of everything else why not.

python -m pytest tests/trainer/bench/test_bench.py
"""

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from trainer import harness, train
from trainer.bench import __main__ as command
from trainer.bench import plain, rows

OTHER = Path(__file__).with_name("other_train.py")
CPU = torch.device("cpu")


def table(stdout: str, path: Path) -> dict[tuple[str, str], dict]:
    content = json.loads(path.read_text())
    assert set(content["machine"]) == {"date", "device", "torch", "python"}
    for row in content["rows"]:
        assert row["what"] in stdout
    return {(row["part"], row["what"]): row for row in content["rows"]}


def test_the_parts_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench.json"
    monkeypatch.setattr(rows.milliseconds, "__defaults__", (0.02,))
    arguments = ["--device", "cpu", "--only", "attention,muon,fused,parity", "--json", str(path)]
    assert command.main(arguments) == 0
    found = table(capsys.readouterr().out, path)
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
    result = run(workspace, "trainer.bench", "--only", "step", "--json", str(path))
    assert result.returncode == 0, result.stderr
    found = table(result.stdout, path)
    for what in (("step", "tokens/s"), ("step", "plain torch.nn, tokens/s"), ("loader", "packed, 128 x 2048")):
        assert found[what]["value"] > 0, what


@pytest.mark.slow
def test_another_train_py_runs_on_the_same_data(
    corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWARM_DEVICE", "cpu")
    path = tmp_path / "bench.json"
    assert command.main(["--against", str(OTHER), "--budget", "0.7", "--json", str(path)]) == 0
    found = table(capsys.readouterr().out, path)
    for who in ("theirs", "ours"):
        assert found[who, "tokens/s"]["value"] > 0
        assert 0.3 < found[who, "val_bpb"]["value"] < 3
    assert "x theirs" in found["ours", "val_bpb"]["note"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "muon,sound"], "--only sound: the parts are attention"),
        (["--only", "muon", "--json", "nowhere/bench.json"], "--json nowhere/bench.json: no file can be written there"),
        (["--against", "nowhere/train.py"], "there is no such file"),
        (["--against", __file__], "failed"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_line(
    arguments: list[str], words: str, corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWARM_DEVICE", "cpu")
    assert command.main(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert len(shown.err.splitlines()) == 1
    assert "muon" not in shown.out


def test_a_missing_corpus_shows_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWARM_DEVICE", "cpu")
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path))
    assert command.main(["--only", "muon,step"]) == 2
    shown = capsys.readouterr()
    assert "prepare.py" in shown.err
    assert "muon" not in shown.out


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (harness.SetupError("trainer.train failed: no room"), "trainer.train failed: no room"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTry less"), "OutOfMemoryError: CUDA out of memory."),
        (RuntimeError(), "RuntimeError: RuntimeError"),
    ],
)
def test_a_part_that_fails_says_why_and_the_others_go_on(
    error: Exception, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench.json"
    written, held = [], []

    def part(name: str, failure: Exception | None) -> Iterator[rows.Row]:
        written.append(json.loads(path.read_text())["rows"] if path.exists() else None)
        assert not any(memory() is not None for memory in held), "the part before still holds its memory"
        model = torch.nn.Linear(3, 3)
        model.itself = model  # as an optimizer holds its own compiled method
        held.append(weakref.ref(model))
        yield rows.Row(name, "first", 1.0, "ms")
        if failure:
            raise type(failure)(*failure.args)  # a new one: an error that is kept keeps what its frames hold
        yield rows.Row(name, "second", 2.0, "ms")

    failures = {"one": None, "two": error, "three": None}
    parts = {name: lambda _device, name=name: part(name, failures[name]) for name in failures}
    monkeypatch.setattr(command, "PARTS", parts)
    monkeypatch.setenv("SWARM_DEVICE", "cpu")
    assert command.main(["--all", "--json", str(path)]) == 1
    found = [(row["part"], row["what"], row["value"]) for row in json.loads(path.read_text())["rows"]]
    one = [("one", "first", 1.0), ("one", "second", 2.0)]
    two = [("two", "first", 1.0), ("two", "failed here", None)]
    assert found == [*one, *two, ("three", "first", 1.0), ("three", "second", 2.0)]
    assert [content and len(content) for content in written] == [None, 2, 4]  # complete after each part
    shown = capsys.readouterr()
    assert note in shown.out
    assert ("Traceback" in shown.err) is not isinstance(error, harness.SetupError)
    assert command.main(["--only", "one,three"]) == 0


def test_the_device_that_is_asked_for_sets_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def part(device: torch.device) -> Iterator[rows.Row]:
        seen.append((device.type, harness.Settings.from_environment().threads))
        yield rows.Row("one", "first", 1.0, "ms")

    monkeypatch.setattr(command, "PARTS", {"one": part})
    monkeypatch.setenv("SWARM_DEVICE", "nonesuch")
    assert command.main(["--all", "--device", "cpu"]) == 0
    assert seen == [("cpu", 1)]


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
