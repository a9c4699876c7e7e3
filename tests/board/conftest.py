"""Nights to test a board with (see nights.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nights import Night


@pytest.fixture
def make_night(tmp_path: Path) -> Callable[..., Night]:
    """Nights on one ledger file; keywords are columns of the swarm's row."""
    made: list[Night] = []

    def make(agents: int = 2, **settings: Any) -> Night:
        if made:
            made[-1].ledger.close()
        made.append(Night(tmp_path / ".swarm" / "ledger.sqlite", agents, **settings))
        return made[-1]

    return make


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    """Two agents whose baselines are measured: 1.0 on average."""
    night = make_night()
    night.baselines()
    return night
