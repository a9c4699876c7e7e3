"""The small corpus of the trainer's tests, and edited train.pys."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.trainer.conftest import cache, corpus, run, train_here, workspace

__all__ = ["cache", "corpus", "run", "train_here", "workspace"]


@pytest.fixture
def edited(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """train.py with the change under test, as a module."""
    path = tmp_path / "train.py"
    path.write_text(request.param.code)
    spec = importlib.util.spec_from_file_location("edited_train", path)
    assert spec and spec.loader
    module = sys.modules["edited_train"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["edited_train"]
