"""A tracker that fails, hangs or ends is a warning, and holds nothing up: the real sender with a package that does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm.coordinator import tracking
from swarm.coordinator.tracking import Tracking
from tests.board.nights import Night

LONG = 120.0  # seconds that a slow machine may take


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    night = Night(tmp_path / "ledger.sqlite", agents=1, policy="greedy")
    night.join()
    while night.state("apr5-gpu0-0000") != "judged":
        night.run("gpu0", 1.0)
    yield night
    night.ledger.close()


@pytest.fixture
def begin(night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Tracking]]:
    """Starts tracking with a package `trackio` of which `init` is as given."""
    begun: list[Tracking] = []

    def start(init: str) -> Tracking:
        place = tmp_path / "packages"
        place.mkdir()
        (place / "trackio.py").write_text(f"import os, time\ndef init(**more):\n    {init}\n")
        monkeypatch.setenv("PYTHONPATH", str(place))
        (tmp_path / "apr5").mkdir()
        begun.append(Tracking("trackio", night.path, "apr5", tmp_path / "apr5", WARNINGS.append))
        return begun[-1]

    WARNINGS.clear()
    yield start
    for one in begun:
        one.close()


WARNINGS: list[str] = []


def until(there: Callable[[], bool], look: Callable[[], None] = lambda: None) -> None:
    end = time.monotonic() + LONG
    while not there():
        assert time.monotonic() < end, WARNINGS
        look()
        time.sleep(0.05)


def test_a_tracker_that_fails_is_told_once(begin: Callable[[str], Tracking], monkeypatch: pytest.MonkeyPatch) -> None:
    one = begin("raise SystemExit('no login: \\x1b[31mred')")
    until(lambda: bool(WARNINGS), one.look)
    one.close()  # the last try fails too
    assert len(WARNINGS) == 1 and "trackio cannot be told of experiments, which is tried again: SystemExit: no login" in WARNINGS[0]  # fmt: skip # noqa: E501
    assert "\x1b" not in WARNINGS[0]


def test_a_tracker_that_hangs_is_ended_and_holds_nothing_up(
    begin: Callable[[str], Tracking], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "PATIENCE", 0.3)
    monkeypatch.setattr(tracking, "PARTING", 0.5)
    one = begin("time.sleep(1000)")
    looks: list[float] = []

    def look() -> None:
        began = time.monotonic()
        one.look()
        looks.append(time.monotonic() - began)

    until(lambda: any("nothing more is sent" in text for text in WARNINGS), look)
    assert WARNINGS[0] == "trackio does not answer; it is ended and asked again"
    assert sorted(looks)[len(looks) // 2] < 0.25  # seconds; it hangs for 0.3 at least


def test_an_end_waits_only_so_long_for_what_hangs(
    begin: Callable[[str], Tracking], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "PARTING", 1.0)
    one = begin("time.sleep(1000)")
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 60
    assert WARNINGS == ["trackio did not take the last experiments in time; `swarm resume` sends them"]


def test_without_a_tracker_nothing_is_started(tmp_path: Path) -> None:
    none = Tracking(None, tmp_path / "l", "apr5", tmp_path, WARNINGS.append)
    none.look()
    none.close()
    assert not list(tmp_path.iterdir())
