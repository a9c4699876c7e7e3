"""train.py: the model, the optimizer, the schedule, and whole runs in workspaces.

python -m pytest tests/trainer/test_train.py
"""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.conftest import ROOT, edited
from trainer import harness, train
from trainer.kernels import polar

CPU = torch.device("cpu")
TINY = replace(train.PRESETS["cpu"], width=32, head_dim=16, seq_len=32, window_pattern="SL", total_batch_size=256)
UPSTREAM_KEYS = [
    "val_bpb", "training_seconds", "total_seconds", "peak_vram_mb", "mfu_percent", "total_tokens_M", "num_steps",
    "num_params_M", "depth",
]  # fmt: skip


def summary_of(output: str) -> dict[str, str]:
    block = output.split("---\n")[1]
    return dict(re.split(r":\s+", line, maxsplit=1) for line in block.splitlines())


def tiny_model(seed: int = 0) -> train.GPT:
    torch.manual_seed(seed)
    return train.build_model(TINY, 64, CPU)


def stir(model: torch.nn.Module) -> None:
    """Make all weights matter: fresh ones that write to the stream are zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_train_py_is_short_enough_to_be_read_by_an_agent() -> None:
    assert len((ROOT / "trainer" / "train.py").read_text().splitlines()) <= 700


# ---- the model


def test_logits_do_not_depend_on_later_tokens_or_other_rows() -> None:
    model = tiny_model()
    stir(model)
    idx = torch.randint(64, (3, 32))
    changed = idx.clone()
    changed[:, 20:] = (changed[:, 20:] + 1) % 64
    changed[1:] = 0
    with torch.no_grad():
        before, after = model(idx)[0], model(changed)[0]
    torch.testing.assert_close(before[:20], after[:20])
    assert not torch.allclose(before[20:], after[20:])


def test_a_token_sees_as_far_back_as_the_windows_of_all_layers_allow() -> None:
    preset = replace(TINY, depth=3, window_pattern="S", short_window=0.125)
    assert train.windows(preset) == [4, 4, -1]
    assert train.windows(replace(preset, window_pattern="SL", depth=5)) == [4, -1, 4, -1, -1]


def test_the_softcap_bounds_the_logits_and_zero_frees_them() -> None:
    idx = torch.randint(64, (1, 32))
    for cap, bounded in ((2.0, True), (0, False)):
        torch.manual_seed(0)
        model = train.build_model(replace(TINY, softcap=cap), 64, CPU)
        with torch.no_grad():
            model.head.weight.mul_(1e5)
            assert bool(model(idx).abs().max() <= 2.0) is bounded


def unmoved_by_a_step(model: train.GPT, optimizer: train.Optimizer) -> list[str]:
    """The parameters that a training step leaves as they are."""
    stir(model)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    idx = torch.randint(64, (8, 33))
    train.training_loss(model, idx[:, :-1], idx[:, 1:]).backward()
    optimizer.step(0.0)
    return [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]


def test_every_parameter_learns_and_belongs_to_one_optimizer() -> None:
    model = tiny_model()
    optimizer = train.Optimizer(model, TINY)
    assert not unmoved_by_a_step(model, optimizer)
    owned = [p for group in optimizer.adam.groups for p in group.parameters]
    owned += [p for group in optimizer.muon.groups for p in group]
    assert len(owned) == len({id(p) for p in owned}) == len(list(model.parameters()))


class WithAll(train.GPT):
    """An edit that adds a table, a matrix, a gain and a scalar."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        width = self.preset.width
        self.extra = torch.nn.Embedding(64, width)
        self.mixer = torch.nn.Parameter(torch.eye(width))
        self.blocks[0].gain = torch.nn.Parameter(torch.ones(width))
        self.bias = torch.nn.Parameter(torch.zeros(()))

    def features(self, idx: torch.Tensor, grams: torch.Tensor | None = None) -> torch.Tensor:
        mixed = (super().features(idx) + self.extra(idx)) @ self.mixer
        return mixed * self.blocks[0].gain + self.bias


def test_parameters_that_an_edit_adds_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "GPT", WithAll)
    model = tiny_model()
    optimizer = train.Optimizer(model, TINY)
    assert not unmoved_by_a_step(model, optimizer)
    assert any(parameter is model.mixer for group in optimizer.muon.groups for parameter in group)


def test_a_run_whose_optimizer_forgets_a_parameter_stops_with_its_name(train_here, tmp_path: Path, capsys) -> None:
    forgets = edited(
        tmp_path / "train.py", "            Group(tables, of_tables,", "            Group(tables[1:], of_tables,"
    )
    assert train_here(forgets) == 2
    told = "train.py: the parameter blocks.1.attention.table.weight is in no optimizer group"
    assert capsys.readouterr().err.startswith(told)


def test_all_levers_together_learn_and_survive_saving(tmp_path: Path) -> None:
    preset = replace(
        TINY, bigram_rows=500, trigram_rows=700, ngram_value_layers=1, copy_features=1, query_gain=1.3,
        long_window=0.5, muon_equalize=1, momentum_end=0.8,
    )  # fmt: skip
    torch.manual_seed(0)
    model = train.build_model(preset, 64, CPU)
    assert model.grams is not None
    optimizer = train.Optimizer(model, preset)
    idx = torch.randint(64, (8, 33), generator=torch.Generator().manual_seed(7))
    inputs, targets = idx[:, :-1], idx[:, 1:]
    train.warm_up(model, optimizer, train.training_loss, 8, 64)
    assert not model.grams.table(2).any(), "a warm-up gives no free step"
    losses = []
    for step in range(15):
        loss = train.training_loss(model, inputs, targets, model.grams.gather(inputs))
        loss.backward()
        optimizer.step(step / 15)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert model.grams.table(2).any() and model.grams.table(3).any()
    train.save_model(model, 64, tmp_path)
    saved = torch.load(tmp_path / "model.pt", weights_only=True)["state"]
    assert {value.dtype for name, value in saved.items() if "rows" in name} == {torch.bfloat16}
    with torch.no_grad():
        torch.testing.assert_close(train.load_model(tmp_path, "cpu")(inputs), model(inputs), atol=0.1, rtol=0.1)
    later = inputs.clone()
    later[:, 20:] = (later[:, 20:] + 1) % 63
    with torch.no_grad():
        torch.testing.assert_close(model(inputs)[:, :20], model(later)[:, :20])


def test_normuon_scales_along_the_longer_side() -> None:
    shapes = ((8, 32), (32, 8), (8, 8))
    assert [train.short_side(torch.empty(1, *shape)) for shape in shapes] == [-2, -1, -1]
    muon = train.Muon([torch.nn.Parameter(torch.randn(shape)) for shape in shapes], 5, 0.95)
    assert sorted(tuple(square.shape[1:]) for square in muon.squares) == [(1, 32), (8, 1), (32, 1)]


def test_momentum_goes_up_and_in_the_warmdown_to_its_end() -> None:
    optimizer = train.Optimizer(tiny_model(), replace(TINY, momentum_warmup=10, momentum_end=0.9, warmdown=0.5))
    assert optimizer.momentum(0.0) == pytest.approx(0.85)
    optimizer.steps = 100
    assert [optimizer.momentum(progress) for progress in (0.5, 0.75, 1.0)] == pytest.approx([0.95, 0.925, 0.9])


def test_flops_count_only_the_keys_in_the_window() -> None:
    full = train.build_model(replace(TINY, window_pattern="L"), 64, CPU)
    short = train.build_model(replace(TINY, window_pattern="S", short_window=1 / 32), 64, CPU)
    assert short.preset.depth == 2  # one S layer of 2 keys (1 at the start), one L layer
    saved = 12 * 32 * ((32 + 1) / 2 - (2 - 1 / 32))
    assert full.flops_per_token() - short.flops_per_token() == pytest.approx(saved)


# ---- the optimizer and the schedule


def test_adamw_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(5, 4)), torch.nn.Parameter(torch.randn(3))]
    theirs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in ours]
    optimizer = train.AdamW([train.Group([ours[0]], 0.1, 0.01), train.Group([ours[1]], 0.2)])
    groups = [{"params": [theirs[0]], "lr": 0.05, "weight_decay": 0.01}, {"params": [theirs[1]], "lr": 0.1}]
    reference = torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0)
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        optimizer.step(0.5)
        reference.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("shape", [(3, 48, 48), (2, 96, 32), (2, 32, 96), (1, 512, 128)])
def test_the_polar_express_brings_singular_values_near_one(shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    """Whatever the scale of the gradient: fp16 would round the small one to zero."""
    for scale in (1e-7, 1.0, 1e4):
        torch.manual_seed(0)
        found = polar.polar_express(scale * torch.randn(shape), train.POLAR_EXPRESS, dtype)
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.5, values
        assert values.max() < 1.2, values


def test_a_zero_gradient_stays_zero() -> None:
    assert torch.equal(polar.polar_express(torch.zeros(1, 4, 6), train.POLAR_EXPRESS), torch.zeros(1, 4, 6))


def test_weights_of_one_shape_are_views_of_one_stack() -> None:
    model = tiny_model()
    optimizer = train.Optimizer(model, TINY)
    for group, stack in zip(optimizer.muon.groups, optimizer.muon.stacks, strict=True):
        for parameter, weight in zip(group, stack, strict=True):
            assert parameter.data_ptr() == weight.data_ptr()
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict({name: value + 1 for name, value in saved.items()})
    assert torch.equal(optimizer.muon.stacks[0][0], optimizer.muon.groups[0][0])


def test_the_loss_is_the_cross_entropy_of_what_the_model_answers() -> None:
    model = tiny_model()
    stir(model)
    idx = torch.randint(64, (3, 33))
    found = train.training_loss(model, idx[:, :-1], idx[:, 1:])
    wanted = torch.nn.functional.cross_entropy(model(idx[:, :-1]).flatten(0, 1), idx[:, 1:].flatten())
    torch.testing.assert_close(found, wanted)
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(found, parameters), torch.autograd.grad(wanted, parameters)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_training_learns_and_the_seed_decides() -> None:
    def losses(seed: int) -> list[float]:
        model = tiny_model(seed)
        optimizer = train.Optimizer(model, TINY)
        idx = torch.randint(64, (8, 33), generator=torch.Generator().manual_seed(7))
        found = []
        for step in range(30):
            loss = train.training_loss(model, idx[:, :-1], idx[:, 1:])
            loss.backward()
            optimizer.step(step / 30)
            found.append(loss.item())
        return found

    first = losses(1)
    assert first[0] == pytest.approx(4.16, abs=0.05)  # ln 64: fresh logits are nearly equal
    assert first[-1] < 1.0
    assert losses(1) == first
    assert losses(2) != first


def test_warm_up_gives_no_free_step() -> None:
    model, twin = tiny_model(), tiny_model()
    optimizer, other = train.Optimizer(model, TINY), train.Optimizer(twin, TINY)
    idx = torch.randint(64, (8, 33))
    batch = (idx[:, :-1], idx[:, 1:], 0)
    train.warm_up(model, optimizer, train.training_loss, 8, 64)
    for net, opt in ((model, optimizer), (twin, other)):
        for _ in range(3):
            train.training_loss(net, batch[0], batch[1]).backward()
            opt.step(0.5)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_schedule_rises_stays_and_falls() -> None:
    preset = replace(TINY, warmup=0.1, warmdown=0.5, final_lr=0.2)
    found = [train.lr_scale(preset, progress) for progress in (0.0, 0.05, 0.1, 0.5, 0.75, 1.0)]
    assert found == pytest.approx([0.0, 0.5, 1.0, 1.0, 0.6, 0.2])
    assert train.lr_scale(replace(preset, warmup=0.0, warmdown=0.0), 1.0) == 1.0


@pytest.mark.parametrize(("memory", "rows"), [(None, 128), (79.6, 128), (40, 64), (24, 32), (16, 16), (8, 8)])
def test_smaller_cards_take_smaller_micro_batches(memory: float | None, rows: int) -> None:
    assert train.micro_batch_rows(train.PRESETS["cuda"], memory, torch.bfloat16) == rows


def test_cards_without_bf16_hold_half_the_rows() -> None:
    assert train.micro_batch_rows(train.PRESETS["cuda"], 32, torch.float32) == 16
    assert train.micro_batch_rows(train.PRESETS["cuda"], 15, torch.float32) == 8


def test_out_of_memory_in_the_warm_up_halves_the_micro_batch(train_here, tmp_path: Path, capsys) -> None:
    fails = edited(
        tmp_path / "train.py",
        "            loss_of(model, inputs, targets, *grams).backward()\n",
        "            loss_of(model, inputs, targets, *grams).backward()\n"
        "            if rows > 1:\n"
        "                model.head.weight.data.add_(1.0)\n"
        "                raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate')\n",
    )
    assert train_here(fails) == 0
    printed = capsys.readouterr().out
    assert "batch: 4 rows do not fit into the GPU's memory, 2 are tried\n" in printed
    assert "batch: 4096 tokens, 32 x 1 rows of 128\n" in printed
    first = json.loads((tmp_path / "run" / "heartbeat.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(first["ignorant"], rel=0.01), "what a failed try changed is put back"
    assert first["untimed"] == 1


def test_micro_batches_divide_the_step() -> None:
    preset = replace(TINY, total_batch_size=32 * 10, device_batch_size=4)
    assert train.micro_batch_rows(preset, None, torch.float32) == 2


@pytest.mark.parametrize("device", list(train.PRESETS))
def test_presets_are_consistent(device: str) -> None:
    train.check_preset(train.PRESETS[device])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"total_batch_size": 100}, "total_batch_size 100 is no multiple"),
        ({"head_dim": 24}, "no multiple of head_dim"),
        ({"window_pattern": "SX"}, "window_pattern 'SX'"),
        ({"activation": "tanh"}, "activation 'tanh'"),
        ({"seq_len": 4096, "total_batch_size": 8192}, "seq_len 4096"),
        ({"width": 16}, "width 16 is below"),
        ({"muon_steps": 6}, "muon_steps 6"),
        ({"ngram_value_layers": 1}, "ngram_value_layers 1 need bigram_rows"),
    ],
)
def test_presets_that_do_not_fit_are_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(harness.SetupError, match=words):
        train.check_preset(replace(TINY, **change))


# ---- whole runs


def test_alone_a_run_measures_itself(workspace: Path, run) -> None:
    result = run(workspace, "trainer.train", PYTHONPROFILEIMPORTTIME="1")
    assert result.returncode == 0, result.stderr
    assert "torch._dynamo" not in result.stderr  # the compiler: two seconds, and nothing to compile
    summary = summary_of(result.stdout)
    assert list(summary)[:11] == [*UPSTREAM_KEYS, "val_loss", "tokens_per_second"]
    assert all(line.index(line.split()[1]) == 18 for line in result.stdout.split("---\n")[1].splitlines()[:10])
    assert 0.3 < float(summary["val_bpb"]) < 2.0  # untrained: 2.7
    assert 2.0 <= float(summary["training_seconds"]) < 20.0
    assert float(summary["peak_vram_mb"]) > 50
    assert summary["mfu_percent"] == "n/a"
    assert summary["stalled"] == "false"
    assert summary["kernels"] == "none"
    assert "kernels: polar (eager: eager on cpu)" in result.stdout
    preset = train.PRESETS["cpu"]
    tokens = int(summary["num_steps"]) * preset.total_batch_size
    in_hand = preset.device_batch_size * preset.seq_len
    assert int(summary["loaded_tokens"]) == tokens + in_hand == in_hand * int(summary["loaded_batches"])
    assert float(summary["total_tokens_M"]) == pytest.approx((tokens + in_hand) / 1e6, abs=1e-3)


def test_in_a_swarm_a_run_beats_saves_and_leaves_measuring_to_the_referee(
    workspace: Path, run, corpus, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    result = run(workspace, "trainer.train", SWARM_RUN_DIR=str(folder))
    assert result.returncode == 0, result.stderr
    assert summary_of(result.stdout)["val_bpb"] == "n/a"
    beats = [json.loads(line) for line in (folder / "heartbeat.jsonl").read_text().splitlines()]
    steps = [beat["step"] for beat in beats]
    assert steps == sorted(steps) == [beat["laps"] for beat in beats]
    assert list(beats[0]) == [
        "step", "loss", "tokens", "seconds", "untimed", "untimed_tokens", "laps", "elapsed", "ignorant",
    ]  # fmt: skip
    assert beats[0]["untimed_tokens"] == beats[0]["untimed"] * 4 * 129
    assert beats[0]["loss"] == pytest.approx(beats[0]["ignorant"], rel=0.01)
    assert all(beat["elapsed"] == pytest.approx(beat["seconds"], abs=0.01) for beat in beats)
    assert beats[-1]["loss"] < beats[0]["loss"]
    assert beats[-1]["seconds"] <= 2.7

    model = train.load_model(folder, "cpu")
    idx = torch.randint(512, (2, 50))
    with torch.no_grad():
        assert model(idx).shape == (2, 50, 512)
    referee = run(workspace, "trainer.referee", SWARM_RUN_DIR=str(folder))
    assert referee.returncode == 0, referee.stderr
    answer = json.loads((folder / "referee.json").read_text())
    assert 0.3 < answer["val_bpb"] < 2.0
    assert answer["split"] == "val"
    assert answer["corpus"] == corpus.manifest["corpus_hash"]
    assert "causality" in answer["checks"]


def test_training_never_opens_the_held_out_splits(
    workspace: Path, run, train_here, cache: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(cache, tmp_path / "cache")
    for split in ("val", "test"):
        for path in copy.glob(f"corpora/*/{split}.*"):
            path.write_bytes(b"\xff" * path.stat().st_size)  # tokens no vocabulary has: reading them would show
    folder = tmp_path / "run"
    assert train_here(train, AUTORESEARCH_CACHE=str(copy)) == 0
    referee = run(workspace, "trainer.referee", AUTORESEARCH_CACHE=str(copy), SWARM_RUN_DIR=str(folder))
    assert referee.returncode == 2
    assert "was changed: run python prepare.py --force" in referee.stderr


def test_divergence_fails_at_once(train_here, tmp_path: Path, capsys) -> None:
    loss = "    return cross_entropy.head_loss("
    diverges = edited(tmp_path / "train.py", loss, "    return float('nan') * cross_entropy.head_loss(")
    assert train_here(diverges, TIME_BUDGET="60") == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "FAIL"
    assert "val_bpb" not in printed
    assert json.loads((tmp_path / "run" / "heartbeat.jsonl").read_text())["loss"] is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SWARM_DEVICE", "tpu", "SWARM_DEVICE=tpu: there is no such device here, use cpu"),
        ("SWARM_SEED", "x", "SWARM_SEED='x' is not a whole number"),
        ("TIME_BUDGET", "-3", "TIME_BUDGET='-3' is not a positive number of seconds"),
    ],
)
def test_bad_settings_end_in_one_line(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv(name, value)
    assert harness.run(train.train) == 2
    message = capsys.readouterr().err
    assert words in message and len(message.splitlines()) == 1


def test_a_corpus_that_is_not_prepared_ends_in_one_line(train_here, capsys) -> None:
    assert train_here(train, AUTORESEARCH_CORPUS="nothing") == 2
    told = capsys.readouterr().err
    assert "run python prepare.py --corpus nothing" in told and len(told.splitlines()) == 1


def test_a_run_refuses_files_of_another_checkout(workspace: Path, run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = run(elsewhere, "trainer.train", PYTHONPATH=str(workspace))
    assert result.returncode == 2
    assert "start it with python -m in" in result.stderr
    shutil.move(workspace / "prepare.py", elsewhere)
    result = run(workspace, "trainer.train", PYTHONPATH=str(elsewhere))
    assert result.returncode == 2
    assert "prepare comes from" in result.stderr


@pytest.mark.gpu
@pytest.mark.timeout(600)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("names", ["none", ""])
def test_a_gpu_trains_with_its_kernels_and_the_referee_agrees(workspace: Path, run, tmp_path: Path, names: str) -> None:
    """The bounds were never tried: a large model learns a tiny corpus by heart, and says little of its val split."""
    variables = {"SWARM_DEVICE": "cuda", "SWARM_RUN_DIR": str(tmp_path / "run"), "TIME_BUDGET": "10"}
    result = run(workspace, "trainer.train", **variables, AUTORESEARCH_KERNELS=names)
    assert result.returncode == 0, result.stderr
    used = summary_of(result.stdout)["kernels"]
    assert used == "none" if names else used.startswith("polar,cross_entropy"), result.stdout
    referee = run(workspace, "trainer.referee", **variables)
    assert referee.returncode == 0, referee.stderr
    answer = json.loads((tmp_path / "run" / "referee.json").read_text())
    assert 0.1 < answer["val_bpb"] < 6.0
    assert answer["moved"] <= answer["limit"]
