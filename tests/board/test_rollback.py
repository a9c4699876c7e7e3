"""Taking a step back: only on runs that nobody selected, by a step that restores, and everything goes on from there."""

from __future__ import annotations

from pathlib import Path

from swarm.history.results_writer import write_results
from swarm.records import Duplicate, Idea, Rebase, Status
from swarm.snapshot.build import Picture
from tests.board.nights import Night


def challenge(night: Night, refresh: float) -> None:
    """A challenger that cannot be told from the newest step, which therefore runs again twice: each time `refresh`."""
    night.draft("gpu0", 1)
    values = {"first": iter([0.9973]), "replicate": iter([0.9975, 1.0028]), "refresh": iter([refresh, refresh])}
    for purpose in ("first", "replicate", "refresh", "replicate", "refresh"):
        work = night.measure("gpu0")
        assert work.purpose == purpose
        night.record("gpu0", work, next(values[purpose]))


def lost_step(night: Night) -> tuple[str, str]:
    """A lucky keep whose later runs are far worse than the baseline; gives it, and the step that took it back."""
    lucky = night.keep("gpu0", 0, 0.998)
    challenge(night, 1.007)
    restoring = night.trunk()[-1]
    assert restoring and night.trunk() == [None, lucky, restoring]
    return lucky, restoring


def test_a_keep_that_loses_later_is_taken_back_by_a_step_of_its_own(night: Night) -> None:
    lucky, restoring = lost_step(night)
    row = night.row(restoring)
    assert (row["status"], row["source"], row["parent"]) == ("keep", night.base.sha, night.row(lucky)["source"])
    assert row["title"] == "roll back to the baseline: undo k0 -> 2"
    assert (night.row(lucky)["status"], night.row(lucky)["rung"]) == ("keep", "undone")
    told = Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now)
    assert [event.experiment for event in told.events if event.kind == "keep"] == [lucky, restoring]
    assert told.trunk[-1].value and told.trunk[-1].value == told.trunk[0].value
    assert next(view.value for view in told.experiments if view.id == restoring) is not None


def test_the_next_idea_starts_from_the_restored_code_and_the_lost_idea_is_not_free(night: Night) -> None:
    lost_step(night)
    briefing = night.board.briefing("gpu1")
    assert briefing.parent == night.base and briefing.position == 2
    order = night.next("gpu0")
    assert isinstance(order, Rebase) and order.onto == night.base.sha, "its challenger is carried over"
    assert isinstance(night.claim("gpu1", Idea("again", knobs={"k0": "2"})), Duplicate)
    night.draft("gpu1", 3)
    verdict = night.run("gpu1", 1.5)
    assert verdict and verdict.status is Status.DISCARD


def test_a_rollback_takes_no_experiment_from_the_limit(night: Night) -> None:
    lost_step(night)
    judged = night.ledger.value(
        "SELECT count(*) FROM experiments WHERE baseline = 0 AND state IN ('judged', 'testing')"
    )
    night.swarm(max_experiments=judged)
    assert night.board.wants_draft("gpu1")


def test_what_is_restored_twice_is_still_the_first_ones(night: Night, tmp_path: Path) -> None:
    first = night.keep("gpu0", 0, 0.99)
    for knob in (1, 2):
        night.keep("gpu1", knob, 0.98)
        newest = len(night.trunk()) - 1
        night.undo(newest, newest - 1)
    assert night.row(night.trunk()[-1] or "")["restores"] == first
    night.ledger.execute("UPDATE experiments SET commit_sha = 'c0ffee0'")
    write_results(night.ledger, night.tag, tmp_path)
    rows = [line.split("\t") for line in (tmp_path / "gpu1" / "results.tsv").read_text().splitlines()[1:]]
    restoring = [row for row in rows if "roll back" in row[4]]
    assert [row[1] for row in restoring] == ["0.990000", "0.990000"]


def test_a_rollback_names_the_ideas_that_it_undoes_and_never_another_rollback(night: Night) -> None:
    night.keep("gpu0", 0, 0.99)
    night.keep("gpu1", 1, 0.98)
    night.undo(2, 1)
    night.undo(3, 0)
    titles = [night.row(name)["title"] for name in night.trunk()[3:] if name]
    assert titles == ["roll back to step 1: undo k1 -> 2", "roll back to the baseline: undo k0 -> 2"]
    night.keep("gpu0", 2, 0.97)
    night.keep("gpu1", 3, 0.96)
    night.undo(6, 4)
    assert night.row(night.trunk()[-1] or "")["title"] == "roll back to step 4: undo k2 -> 2 and 1 more"


def test_what_is_not_proven_to_lose_is_left_alone(night: Night) -> None:
    lucky = night.keep("gpu0", 0, 0.998)
    challenge_value = 1.0005
    night.draft("gpu0", 1)
    for _ in range(6):
        if len(night.trunk()) > 2 or night.state("apr5-gpu0-0002") == "judged":
            break
        work = night.measure("gpu0")
        night.record("gpu0", work, challenge_value if work.purpose == "refresh" else 0.9975)
    assert night.row(lucky)["rung"] == "kept"
    assert night.runs("purpose = 'refresh'")
