"""What people are told to type works as they typed before."""

from __future__ import annotations

import sys

import pytest

from swarm.invoked import as_typed, program


@pytest.mark.parametrize("argv0", ["/usr/bin/swarm", "swarm", "swarm.exe"])
def test_the_script_is_called_by_its_name(argv0: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [argv0])
    assert program() == "swarm"
    assert as_typed("see `python -m swarm ls`, python -m swarm.lab.demo") == "see `swarm ls`, python -m swarm.lab.demo"


@pytest.mark.parametrize("argv", [["/a/swarm/__main__.py"], ["-c"], [""], []])
def test_else_it_is_a_module(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert program() == "python -m swarm" and as_typed("python -m swarm ls") == "python -m swarm ls"
