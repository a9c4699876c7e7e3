"""What stands on the trunk and how much of it is claimed, in people's words, from a real board.

python -m pytest tests/views/test_standing.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from swarm.snapshot.build import Picture
from swarm.snapshot.records import Snapshot
from swarm.views.report import write_report
from swarm.wording.headline import headline
from swarm.wording.standing import is_kept, line_to, standing, tally, tally_explained
from swarm.wording.verdict_text import verdict_text
from tests.board.nights import Night


def picture(make_night: Callable[..., Night], policy: str) -> tuple[Night, Snapshot]:
    """A small gain, a large one, and one step that was taken back."""
    night = make_night(policy=policy)
    night.baselines()
    for knob, value in enumerate((0.9985, 0.9935, 0.9915)):
        night.draft("gpu0", knob)
        night.run("gpu0", value)
    night.undo(3, 2)
    return night, Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now)


def test_steps_that_stand_are_counted_and_only_those(make_night: Callable[..., Night], tmp_path: Path) -> None:
    _, snapshot = picture(make_night, "carry")
    assert [view.title for view in standing(snapshot)] == ["k0 -> 2", "k1 -> 2"]
    assert [is_kept(view, snapshot) for view in standing(snapshot)] == [False, True]
    assert not any(is_kept(view, replace(snapshot, kept_from=1.01)) for view in standing(snapshot))
    assert [step.title for step in line_to(snapshot, 4)] == [view.title for view in standing(snapshot)]
    assert [step.position for step in line_to(snapshot, 3)] == [1, 2, 3]
    assert tally(snapshot) == "2 steps on the trunk, 1 of them kept"
    assert tally_explained(snapshot).startswith("2 steps on the trunk, 1 of them kept (at least even odds")
    assert "2 steps on the trunk, 1 of them kept" in headline(snapshot)
    report, _ = write_report(snapshot, tmp_path, 0.0, {})
    text = report.read_text()
    assert "2 steps on the trunk, 1 of them kept (at least even odds to be real gains" in text
    assert "- **carried**: a gain is to be expected" in text
    assert f"| kept (p={standing(snapshot)[1].real:.2f}) |" in text


def test_show_says_what_is_claimed_of_a_step_and_what_is_not(make_night: Callable[..., Night]) -> None:
    _, snapshot = picture(make_night, "carry")
    ideas = (view for view in snapshot.experiments if not view.baseline and view.restores is None)
    small, large, undone = ideas
    assert f"Carried: step 1 of the trunk; all runs until now make it a real gain with p={small.real:.2f}" in (
        verdict_text(small, snapshot.sigma)
    )
    assert verdict_text(small, snapshot.sigma).endswith("so it is not claimed to be one.")
    assert verdict_text(large, snapshot.sigma).startswith("Kept: step 2 of the trunk; all runs until now")
    assert verdict_text(undone, snapshot.sigma).endswith("undone: later runs made it a loss.")


def test_policies_without_chances_say_what_they_said(make_night: Callable[..., Night]) -> None:
    _, snapshot = picture(make_night, "greedy")
    assert tally(snapshot) == "" and len(standing(snapshot)) == 2
    assert all(is_kept(view, snapshot) for view in standing(snapshot))
