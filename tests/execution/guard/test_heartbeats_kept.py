"""What a training says of itself is kept by its guard while it is said: it cannot be taken back, or changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.execution.guard.resource_limits import HeartbeatMonitor
from swarm.execution.reading.progress import Heartbeat
from swarm.execution.spec import Spec, Step, StepResult
from swarm.execution.validity.clock_check import miscounted

LINES = [b'{"step": %d, "untimed": 1}\n' % number for number in range(3)]


@pytest.fixture
def step(tmp_path: Path) -> Step:
    beats, kept = tmp_path / "run.jsonl", tmp_path / "kept.jsonl"
    return Step("trainer", [], "", {}, "", 60.0, heartbeat=str(beats), beats=str(kept))


def looked(step: Step, *contents: bytes) -> tuple[bytes, bool]:
    """What is kept, and whether it was rewritten, after looks at a file that held one after another of these."""
    monitor, file = HeartbeatMonitor(step), Path(step.heartbeat or "")
    for number, content in enumerate(contents):
        file.write_bytes(content)
        monitor.look(float(number))
    kept = Path(step.beats)
    return kept.read_bytes() if kept.exists() else b"", monitor.rewritten


def test_lines_are_kept_as_they_come(step: Step) -> None:
    halves = LINES[0], LINES[0] + LINES[1][:5], b"".join(LINES)
    assert looked(step, *halves) == (b"".join(LINES), False)


@pytest.mark.parametrize("then", [b"", LINES[0], LINES[2] * 20], ids=["emptied", "shorter", "other and longer"])
def test_what_was_said_stays_said(step: Step, then: bytes) -> None:
    assert looked(step, b"".join(LINES[:2]), then) == (b"".join(LINES[:2]), True)


def test_many_lines_are_kept_once_each(step: Step) -> None:
    grown = [b"".join(b'{"step": %d, "loss": 1.0}\n' % number for number in range(size)) for size in (400, 900, 901)]
    assert looked(step, *grown) == (grown[-1], False)


def test_a_link_or_a_folder_in_its_place_is_not_read(step: Step, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a key")
    Path(step.heartbeat or "").symlink_to(tmp_path / "secret")
    monitor = HeartbeatMonitor(step)
    monitor.look(1.0)
    assert not Path(step.beats).exists()


@pytest.mark.parametrize(
    ("beats", "rewritten", "counted", "refused"),
    [
        ((), False, True, "not those of the fixed harness"),
        ((Heartbeat(step=5),), False, True, "not those of the fixed harness"),
        ((Heartbeat(step=5, tokens=1, untimed=1),), True, True, "were rewritten"),
        ((Heartbeat(step=5),), True, False, ""),  # another program's own affair
        ((), False, False, ""),
    ],
)
def test_where_a_harness_counts_its_heartbeats_are_there(
    step: Step, beats: tuple[Heartbeat, ...], rewritten: bool, counted: bool, refused: str
) -> None:
    spec = Spec("run", 1, [step], "", "", budget=5.0, counted=counted)
    found = miscounted(spec, StepResult("trainer", "", 0.0, rewritten=rewritten), beats, {})
    assert refused in found.reason if found and refused else not found and not refused
