"""A code that looks ahead so little that no run of it shows it, and all of them do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from swarm.records import Failure
from tests.board.nights import Night, finished, without_holds
from tests.board.test_quarantine import later

HINT = {"asked": 2048, "hint": 0.0011, "hint_spread": 0.01, "hint_rounding": 1e-5}  # five standard errors


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return without_holds(make_night)


def hinting(night: Night, agent: str, work: Any, value: float) -> Any:
    run = finished(work, value, night.clock.now)
    assert run.metrics
    return replace(run, metrics=replace(run.metrics, audited=True, values=HINT))


def test_runs_of_a_kept_code_add_up_until_it_is_found_out(night: Night, monkeypatch) -> None:
    cheat = night.keep("gpu0", 0, 0.5)
    monkeypatch.setattr("tests.board.test_quarantine.Night.record", _recorded)
    later(night, cheat, "closing", 0.5)
    assert night.row(cheat)["rung"] != "invalid", "one run shows nothing"
    later(night, cheat, "closing", 0.5)
    assert night.row(cheat)["rung"] == "invalid"
    assert "over 4096 places of all runs of this code (caught in run" in night.row(cheat)["quarantine"]


def _recorded(night: Night, agent: str, work: Any, value: float | Failure, **more: Any) -> Any:
    assert isinstance(value, float)
    night.clock.tick(10.0)
    return night.call("record", agent, night.fences[agent], hinting(night, agent, work, value))


def test_what_is_better_than_its_parent_is_to_be_checked_closely(night: Night) -> None:
    night.draft("gpu0", 0)
    assert night.measure("gpu0").bar == night.mean(night.base.sha)
