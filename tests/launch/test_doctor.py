"""The doctor's word on what edited code could reach here: tried, not supposed.

python -m pytest tests/launch/test_doctor.py
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from swarm.execution.machine import gpu
from swarm.execution.machine.gpu import Gpu
from swarm.execution.sandbox import sandbox
from swarm.execution.sandbox.probe import ProbeError, probe
from swarm.launch import doctor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with held-out data in its cache."""
    held_out = tmp_path / "home" / ".cache" / "autoresearch" / "corpora" / "x" / "val.bin"
    held_out.parent.mkdir(parents=True)
    held_out.write_text("secret")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AUTORESEARCH_CACHE", raising=False)
    return tmp_path / "home"


def reached() -> dict[str, bool]:
    return {line.name: line.ok is None for line in doctor._reach(ROOT)}


NAMES = ("network", "home", "system", "processes", "sockets", "held-out")


@pytest.mark.skipif(sandbox.name() != "bubblewrap", reason="bubblewrap does not work here")
def test_in_a_sandbox_edited_code_reaches_nothing(home: Path) -> None:
    assert reached() == dict.fromkeys(NAMES, False)


@pytest.mark.skipif(bool(sandbox._missing("landlock")), reason="Landlock does not work here")
def test_what_the_other_sandbox_lets_through_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert reached() == dict.fromkeys(NAMES, False) | {"sockets": True}


def test_without_one_each_thing_it_reaches_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "missing", lambda: "bubblewrap is not installed")
    found = reached()
    assert found["home"] and found["held-out"] and found["processes"] and found["sockets"]
    (home / ".cache" / "autoresearch" / "corpora" / "x" / "val.bin").write_bytes(bytes(6))
    assert not reached()["held-out"], "zeros tell nothing"
    shutil.rmtree(home / ".cache")
    assert set(reached()) == {*NAMES} - {"held-out"}, "there is no held-out data on this machine"


@pytest.mark.parametrize(
    ("visible", "cards", "text"),
    [
        ("MIG-0d3b", [], "names MIG instances, and only whole GPUs are supported"),
        ("0", [Gpu(0, "GPU-a", "H200", 141.0, 1.0, divided=True)], "nvidia-smi -i 0 -mig 0"),
        ("0", [Gpu(0, "GPU-a", "H200", 141.0, 1.0, exclusive=True)], "nvidia-smi -i 0 -c DEFAULT"),
        ("0", [Gpu(0, "GPU-a", "H200", 141.0, 1.0, holders=((7, "python"),))], "gpu 0 is used by python"),
        ("0", [Gpu(0, "GPU-a", "H200", 141.0, 1.0)], ""),
    ],
)
def test_a_gpu_that_runs_cannot_use_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, visible: str, cards: list[Gpu], text: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(gpu, "driver", lambda: object())
    monkeypatch.setattr(gpu, "gpus", lambda: cards)
    line = doctor._gpus(ROOT)
    assert line.ok == (not text) and text in line.text


def test_a_probe_that_cannot_run_is_no_good_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "missing", lambda: "there is none")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    (line,) = doctor._reach(ROOT)
    assert line.ok is None and "could not be tried: it cannot be started" in line.text
    with pytest.raises(ProbeError, match=r"^boom$"):
        probe(lambda script: ["sh", "-c", "echo boom >&2; exit 1"])


def test_a_researcher_that_cannot_work_here_is_told_with_what_mends_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    for key in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    lines = {line.name: (line.ok, line.text, line.remedy.split(",")[0]) for line in doctor._researchers()}
    assert lines == {
        "claude": (None, "ANTHROPIC_API_KEY is not set", "export ANTHROPIC_API_KEY=..."),
        "openai": (None, "OPENAI_API_KEY is not set", "export OPENAI_API_KEY=..."),
        "claude-code": (None, "`claude` is not on the PATH", "npm install -g @anthropic-ai/claude-code"),
    }
    (home / "claude").write_text("#!/bin/sh\necho 2.1.197 of it\necho more\n")
    (home / "claude").chmod(0o755)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    lines = {line.name: (line.ok, line.text) for line in doctor._researchers()}
    assert lines == {
        "claude": (True, "ANTHROPIC_API_KEY is set"),
        "openai": (None, "OPENAI_API_KEY is not set"),
        "claude-code": (True, "`claude` is on the PATH: 2.1.197 of it; tried up to 2.1.332"),
    }
