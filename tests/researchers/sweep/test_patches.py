from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from swarm.novelty.code import fingerprint
from swarm.records import Source
from swarm.researchers.sweep.knob_space import open_knob_space
from swarm.researchers.sweep.knobs import read_knobs, write_knobs
from swarm.researchers.sweep.patches import Exchange, Insertion, Patch
from swarm.researchers.sweep.structures import PATCHES

TITLES = [patch.title for patch in PATCHES]
FOREIGN_ONLY = {"relu squared becomes gelu", "relu squared becomes silu"}
OWN = [patch for patch in PATCHES if patch.title not in FOREIGN_ONLY]

TINY = {"width": 32, "head_dim": 8, "seq_len": 16, "device_batch_size": 2, "total_batch_size": 32}

# Trains every given variant of train.py for a moment, in one process: importing torch takes longer than training.
TRAIN_ALL = """
import importlib.util, sys
from trainer import attention, harness
for name in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location(name, f"trainer/{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert harness.run(module.train, attention) == 0, name
"""


def mean(code: str) -> str:
    return fingerprint(Source({"train.py": code.encode()}))


def test_titles_are_distinct() -> None:
    assert len(set(TITLES)) == len(TITLES)


@pytest.mark.parametrize("patch", OWN, ids=lambda patch: patch.title)
def test_every_patch_finds_its_place_in_the_trainer(trainer: str, patch: Patch) -> None:
    changed = patch.apply(trainer)
    assert changed is not None, "train.py was rewritten there: the patch must follow"
    assert mean(changed) != mean(trainer)


def test_patches_of_the_foreign_file(foreign: str) -> None:
    fitting = {patch.title: changed for patch in PATCHES if (changed := patch.apply(foreign))}
    assert FOREIGN_ONLY | {"warmdown along a smooth curve"} <= fitting.keys()
    assert "return F.gelu(x)" in fitting["relu squared becomes gelu"]
    for changed in fitting.values():
        ast.parse(changed)


def test_the_warmdown_curves_fall_from_one_to_zero(foreign: str) -> None:
    for title in ("warmdown along a smooth curve", "warmdown along one minus a square root"):
        [patch] = [patch for patch in PATCHES if patch.title == title]
        names: dict[str, object] = {}
        function = (patch.apply(foreign) or "").split("\n\n\n")[-1]
        exec("WARMDOWN_RATIO = 0.5\n" + function, names)
        curve = [names["get_lr_multiplier"](0.5 + step / 20) for step in range(11)]  # type: ignore[operator]
        assert curve[0] == pytest.approx(1) and curve[-1] == pytest.approx(0)
        assert curve == sorted(curve, reverse=True)


def made_by(title: str, trainer: str, name: str) -> Any:
    """A function that a patch inserts."""
    [patch] = [patch for patch in PATCHES if patch.title == title]
    [function] = [node for node in ast.parse(patch.apply(trainer) or "").body if getattr(node, "name", "") == name]
    names: dict[str, Any] = {"torch": torch, "F": torch.nn.functional}
    exec(ast.unparse(function), names)
    return names[name]


def test_an_offset_key_holds_whole_rotations_of_its_predecessor(trainer: str) -> None:
    offset = made_by("keys with half of their predecessor's, where a layer sees all", trainer, "offset")
    keys = torch.randn(2, 5, 3, 8)  # channels i and i + 4 turn together, 0 and 1 fastest
    found, own, before = offset(keys), [0, 1, 4, 5], [2, 3, 6, 7]
    assert torch.equal(found[..., own], keys[..., own])
    assert torch.equal(found[:, 1:, :, before], keys[:, :-1, :, before])
    assert not found[:, 0, :, before].any()


def test_rows_are_cut_in_the_first_third_only(trainer: str) -> None:
    cut_rows = made_by("rows of half the length in the first third", trainer, "cut_rows")
    inputs, targets = torch.arange(16).view(2, 8), torch.arange(1, 17).view(2, 8)
    for progress, shape in ((0.0, (4, 4)), (0.3, (4, 4)), (0.4, (2, 8)), (1.0, (2, 8))):
        cut = cut_rows((inputs, targets, 0), progress)
        assert [part.shape for part in cut] == [shape, shape]
        assert torch.equal(cut[1], cut[0] + 1)


def test_exchange_ignores_layout_and_stays_within() -> None:
    text = "def f():\n    return (a +\n            b)  # sum\n\n\ndef g():\n    return a + b\n"
    inside = Patch("t", "c", "w", ((Exchange("a+b", "c", "g"),),)).apply(text)
    assert inside == text.replace("return a + b\n", "return c\n")
    assert Patch("t", "c", "w", ((Exchange("a+b", "c", "h"),),)).apply(text) is None
    everywhere = Patch("t", "c", "w", ((Exchange("a - b", "c"),), (Exchange("(a + b)", "c"),))).apply(text)
    assert everywhere == text.replace("(a +\n            b)", "c")


def test_insertion_goes_before_its_anchor() -> None:
    text = "A = 1\n\n\n# about f\ndef f():\n    return A\n"
    patch = Patch("t", "c", "w", ((Insertion("f", "def g():\n    return 2\n"), Exchange("A", "g()", "f")),))
    assert patch.apply(text) == "A = 1\n\n\ndef g():\n    return 2\n\n\n# about f\ndef f():\n    return g()\n"
    assert Patch("t", "c", "w", ((Insertion("h", "B = 1\n"),),)).apply(text) is None


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda"])
def test_every_rule_turns_its_knob(trainer: str, device: str) -> None:
    space = open_knob_space(Source({"trainer/train.py": trainer.encode()}), device)
    assert space
    silent = space.knobs.keys() - space.rules.keys()
    assert not silent, "knobs without a rule"
    turned, written = set(), space.knobs
    for name, value in space.knobs.items():
        rule = space.rules.get(name)
        ideas = [idea for new in rule.neighbours(value) for idea in space.turn({name: new}, "")] if rule else []
        if ideas:
            turned.add(name)
            written = {**written, **ideas[0].knobs}
    assert len(turned) >= len(space.knobs) - 2  # a window is not turned where no layer has one
    assert read_knobs(write_knobs(trainer, device, written), device) == written != space.knobs


@pytest.fixture(scope="module")
def workspace(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    """A place with the fixed files and a small corpus, and the environment of a short run on the CPU."""
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copytree(root / "trainer", folder / "trainer")
    shutil.copy(root / "prepare.py", folder)
    corpus = folder / "texts"
    corpus.mkdir()
    for file in sorted((root / "swarm").rglob("*.py")):
        shutil.copy(file, corpus / ("_".join(file.relative_to(root).parts).removesuffix(".py") + ".txt"))
    environment = {**os.environ, "AUTORESEARCH_CACHE": str(folder / "cache"), "SWARM_DEVICE": "cpu"}
    environment |= {"TIME_BUDGET": "0.02", "SWARM_RUN_DIR": str(folder / "run")}
    environment.pop("AUTORESEARCH_CORPUS", None)
    command = [sys.executable, "prepare.py", "--corpus", str(corpus)]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder, environment


def test_every_patch_trains(trainer: str, workspace: tuple[Path, Mapping[str, str]]) -> None:
    folder, environment = workspace
    tiny = write_knobs(trainer, "cpu", TINY)
    for number, patch in enumerate(OWN):
        (folder / "trainer" / f"variant{number}.py").write_text(patch.apply(tiny) or "")
    names = [f"variant{number}" for number in range(len(OWN))]
    run = subprocess.run(
        [sys.executable, "-c", TRAIN_ALL, *names], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-500:] + run.stderr[-2000:]
    assert run.stdout.count("num_steps:") == len(OWN)


def plays(trainer: str) -> Iterator[tuple[str, str]]:
    space = open_knob_space(Source({"trainer/train.py": trainer.encode()}), "cpu")
    assert space
    for name, value in space.knobs.items():
        rule = space.rules.get(name)
        for neighbour in rule.neighbours(value) if rule else ():
            for idea in space.turn({name: neighbour}, ""):
                edit = space.edit(idea)
                yield idea.title, edit.files["trainer/train.py"].decode() if edit else ""
    yield from ((patch.title, patch.apply(trainer) or "") for patch in OWN)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_play_trains_as_the_swarm_runs_it(trainer: str, workspace: tuple[Path, Mapping[str, str]]) -> None:
    folder, environment = workspace
    failed = {}
    for title, code in plays(trainer):
        (folder / "trainer" / "train.py").write_text(code)
        run = subprocess.run(
            [sys.executable, "-m", "trainer.train"], cwd=folder, env=environment, capture_output=True, text=True
        )
        if run.returncode:
            failed[title] = run.stderr[-300:]
    assert not failed, json.dumps(failed, indent=2)
