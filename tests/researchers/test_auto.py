from __future__ import annotations

from pathlib import Path

import pytest

from swarm.researchers.auto import choose, introduce
from swarm.researchers.cli.claude_code import ClaudeCode
from swarm.researchers.llm.models.anthropic import Claude
from swarm.researchers.registry import create
from swarm.researchers.sweep.sweep import Sweep


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without key and programs; the folder is its PATH."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install_claude(folder: Path) -> None:
    (folder / "claude").write_text("#!/bin/sh\n")
    (folder / "claude").chmod(0o755)


def test_a_key_comes_before_the_cli_and_the_cli_before_the_sweep(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(create("auto", "gpu0", 0), Sweep)
    install_claude(bare)
    assert isinstance(create("auto", "gpu0", 0), ClaudeCode)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    assert isinstance(create("auto", "gpu0", 0), Claude)


def test_the_reason_says_which_why_and_how_much(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        choose().reason
        == "the sweep, as ANTHROPIC_API_KEY is not set and `claude` is not on the PATH; it costs nothing"
    )
    install_claude(bare)
    assert "claude-code, as `claude` is on the PATH" in choose().reason
    assert "at most $20.00" in choose().reason
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    told = choose({"model": "claude-sonnet-5-5", "max_usd": "5"}).reason
    assert "ANTHROPIC_API_KEY is set; model claude-sonnet-5-5, at most $5.00" in told
    assert "canary" not in told
    assert choose({"api_key": "handed over"}).name == "claude"


def test_a_launch_begins_with_who_thinks(bare: Path) -> None:
    assert introduce("auto", ["sweep"], {}).startswith("auto: the sweep, as ANTHROPIC_API_KEY")
    assert introduce("auto:1,sweep", ["sweep"], {}).startswith("auto:1,sweep: the sweep, as ANTHROPIC_API_KEY")
    assert (
        introduce("claude:4,sweep", ["claude", "sweep"], {"max_usd": "5"}) == "claude:4,sweep, as asked; at most $5.00"
    )
    assert introduce("sweep", ["sweep"], {}) == "sweep, as asked"
