"""A small prepared corpus, and workspaces: copies of prepare.py and trainer/ as the swarm makes them."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.conftest import held

torch.set_num_threads(1)  # two spinning threads on a busy two-core machine take minutes for what one does in a second

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # neither prepare nor trainer is installed: they run from a workspace's root

SYLLABLES = ["ka", "lo", "mi", "ne", "ru", "sta", "pen", "tor", "vil", "dra", "mo", "ses", "qua", "ler"]


def sentences(seed: int, lines: int) -> str:
    """Text that a small model can learn in seconds: made-up words with a fixed word order."""
    rng = random.Random(seed)
    words = ["".join(random.Random(n).choices(SYLLABLES, k=2 + n % 2)) for n in range(300)]
    nouns, verbs = words[:200], words[200:]
    return "".join(f"{rng.choice(nouns)} {rng.choice(verbs)} the {rng.choice(nouns)}.\n" for _ in range(lines))


@pytest.fixture(scope="session")
def cache(shared_folder: Path) -> Path:
    """AUTORESEARCH_CACHE with a small corpus called `words`, vocabulary 512. The test process that asks first makes it;
    whoever changes it copies it."""
    folder, cache, made = (shared_folder / "trainer" / name for name in ("words", "cache", "made"))
    folder.mkdir(parents=True, exist_ok=True)
    with held(shared_folder / "trainer.lock"), pytest.MonkeyPatch.context() as patch:
        if not made.exists():
            for number in range(300):
                (folder / f"{number}.txt").write_text(sentences(number, 60))
            patch.setenv("AUTORESEARCH_CACHE", str(cache))
            import prepare

            prepare.prepare(prepare.folder_source(folder, 512))
            made.touch()
    return cache


@pytest.fixture
def corpus(cache: Path, monkeypatch: pytest.MonkeyPatch):
    """The small corpus, active in this process."""
    import prepare

    monkeypatch.setenv("AUTORESEARCH_CACHE", str(cache))
    monkeypatch.delenv("AUTORESEARCH_CORPUS", raising=False)
    return prepare.load_corpus()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A plain folder with prepare.py and trainer/, where train.py may be edited."""
    folder = tmp_path / "workspace"
    shutil.copytree(ROOT / "trainer", folder / "trainer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prepare.py", folder)
    return folder


@pytest.fixture
def run(cache: Path):
    """Run `python -m <module>` in a workspace on the CPU; extra variables by keyword, None removes one."""

    def run(workspace: Path, module: str, *arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SWARM_", "AUTORE"))}
        environment |= {"AUTORESEARCH_CACHE": str(cache), "SWARM_DEVICE": "cpu", "TIME_BUDGET": "2"}
        for name, value in variables.items():
            environment.pop(name, None)
            if value is not None:
                environment[name] = value
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True)

    return run


@pytest.fixture
def train_here(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Train with a train.py in this process, where importing torch again would cost more than the test; variables by
    keyword. The exit code; its folder is `tmp_path / "run"`."""
    import prepare
    from trainer import harness

    for name in [name for name in os.environ if name.startswith(("SWARM_", "AUTORE"))]:
        monkeypatch.delenv(name)
    names = {"AUTORESEARCH_CACHE": str(cache), "SWARM_RUN_DIR": str(tmp_path / "run"), "SWARM_DEVICE": "cpu"}
    monkeypatch.chdir(ROOT)
    for counter in ("tokens_handed_out", "batches_handed_out"):
        monkeypatch.setattr(prepare.TrainLoader, counter, 0)
    monkeypatch.setattr(prepare.Packer, "tokens_packed", 0)
    monkeypatch.setattr(harness.BudgetClock, "first_start", None)
    monkeypatch.setattr(gc, "freeze", lambda: None)  # what a training freezes as it starts would stay for good here

    def train(module: ModuleType, **variables: str) -> int:
        for name, value in (names | {"TIME_BUDGET": "0.3"} | variables).items():
            monkeypatch.setenv(name, value)
        return harness.run(module.train)

    yield train
    gc.enable()


def edited(path: Path, old: str, new: str) -> ModuleType:
    """The module of an edited train.py, which is written to `path`; the old text must be there exactly once."""
    source = (ROOT / "trainer" / "train.py").read_text()
    assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in train.py"
    path.write_text(source.replace(old, new))
    spec = importlib.util.spec_from_file_location(f"edited_train_{path.parent.name}", path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def edit(workspace: Path, old: str, new: str) -> None:
    """Edit a workspace's train.py as an agent would; the old text must be there exactly once."""
    path = workspace / "trainer" / "train.py"
    source = path.read_text()
    assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in train.py"
    path.write_text(source.replace(old, new))
