"""A cheat that is caught late: the trunk goes back, what was built on it is flagged and ranked no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm.history.results_writer import write_results
from swarm.records import Check, Claim, Failure, Idea, Measure, Rebase, Status
from swarm.snapshot.build import Picture
from swarm.wording.recommendations import recommend
from tests.board.nights import Night, turned, without_holds

CAUGHT = "causality: logits changed with later tokens"


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return without_holds(make_night)


@pytest.fixture
def fallen(night: Night) -> Callable[..., tuple[str, str]]:
    """A cheat was kept, and an honest step on top of it, until a later run of the cheat is caught; gives both."""

    def fall(reason: str = CAUGHT, times: int = 1, check: Check | None = None) -> tuple[str, str]:
        cheat = night.keep("gpu0", 0, 0.5)
        honest = night.keep("gpu1", 1, 0.49)
        for _ in range(times):
            catch(night, cheat, reason, check=check)
        return cheat, honest

    return fall


def catch(night: Night, experiment: str, reason: str, purpose: str = "closing", check: Check | None = None) -> None:
    """A later run of the experiment's code, which the referee finds invalid."""
    later(night, experiment, purpose, Failure.INVALID, reason=reason, check=check)


def later(night: Night, experiment: str, purpose: str, value: float | Failure, **more: Any) -> None:
    """A run of the experiment's code once it was judged, which judges it no more."""
    row, number = night.row(experiment), len(night.runs())
    run = Measure(f"{experiment}.{number}", 1, experiment, "", purpose, number, row["source"], row["parent"], 1.0)  # type: ignore[arg-type]
    night.ledger.insert(
        "runs", id=run.run, attempt=1, tag=night.tag, experiment=experiment, agent="gpu0", purpose=purpose,
        seed=number, source=row["source"], parent=row["parent"], state="running", fence=0, started=night.clock.now,
    )  # fmt: skip
    night.record("gpu0", run, value, **more)


def test_the_trunk_goes_back_and_what_was_built_on_the_cheat_is_flagged(night: Night, fallen) -> None:
    night.draft("gpu0", 2)
    night.run("gpu0", 1.5)  # a loser, but beside which number?
    cheat, honest = fallen()
    on_it = night.draft("gpu0", 3)
    restoring = night.trunk()[-1]
    assert restoring and night.trunk() == [None, cheat, honest, restoring]
    assert night.row(restoring)["source"] == night.base.sha
    assert (night.row(cheat)["rung"], night.row(honest)["rung"]) == ("invalid", "tainted")
    assert night.row(cheat)["quarantine"].startswith(f"{CAUGHT} (caught in run {cheat}")
    assert night.row(honest)["quarantine"] == f"built on {cheat}, which was found invalid"
    assert night.row("apr5-gpu0-0001")["quarantine"] == "", "it was judged before there was a cheat"
    assert night.board.briefing("gpu1").parent == night.base
    assert night.row(on_it)["parent"] == night.base.sha


def test_nobody_ranks_it_any_more(night: Night, fallen) -> None:
    night.ledger.execute("UPDATE swarms SET sigma = 0.001")
    cheat, honest = fallen()
    snapshot = Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now)
    assert snapshot.champion is None and snapshot.counts["invalid"] == 1
    assert [agent.gain for agent in snapshot.agents] == [None, None], "and the step that restores is no gain"
    assert {view.id for view in snapshot.experiments if view.quarantine} == {cheat, honest}
    assert not night.ledger.value("SELECT count(*) FROM confirmations WHERE state = 'open'")
    told = [event.text for event in snapshot.events if event.kind == "invalid"]
    assert told == [f"k0 -> 2: kept, and now found invalid: {CAUGHT}"]


def test_no_list_of_what_was_kept_has_it(night: Night, fallen, tmp_path: Path) -> None:
    fallen()
    night.ledger.execute("UPDATE experiments SET commit_sha = 'c0ffee0', category = 'batch' WHERE restores IS NULL")
    write_results(night.ledger, night.tag, tmp_path)
    for agent in ("gpu0", "gpu1"):
        newest = (tmp_path / agent / "results.tsv").read_text().splitlines()[-1].split("\t")
        assert newest[1:4] == ["0.000000", "0.0", "crash"], "an invalid number is nobody's best"
    view = Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now)
    assert view.swarms[0].keep == 0
    assert not any("Dig on" in advice for advice in recommend(view))
    tally = night.board.briefing("gpu0").tally
    assert {told for told in tally if told[0] == "batch"} == {("batch", "invalid", 1), ("batch", "tainted", 1)}


def test_what_is_given_up_beside_a_cheat_is_flagged_too(night: Night) -> None:
    cheat = night.keep("gpu0", 0, 0.5)
    tested = night.draft("gpu1", 1)
    night.run("gpu1", 0.4)
    catch(night, cheat, CAUGHT)
    order = night.next("gpu1")
    assert isinstance(order, Rebase)
    night.call("rebase", "gpu1", night.fences["gpu1"], order, None)  # it conflicts
    row = night.row(tested)
    assert (row["state"], row["rung"]) == ("judged", "tainted") and "found invalid" in row["quarantine"]


def test_the_champion_before_leads_again(night: Night, fallen) -> None:
    first = night.keep("gpu0", 5, 0.9)
    cheat, honest = night.keep("gpu0", 0, 0.5), night.keep("gpu1", 1, 0.49)
    night.ledger.execute("UPDATE experiments SET rung = 'confirmed' WHERE id = ?", first)
    night.ledger.execute("UPDATE experiments SET rung = 'champion' WHERE id = ?", honest)
    catch(night, cheat, CAUGHT)
    assert [night.row(name)["rung"] for name in (first, cheat, honest)] == ["champion", "invalid", "tainted"]
    assert night.board.briefing("gpu0").parent == night.board.source(night.row(first)["source"])


def test_its_idea_is_not_free_but_what_was_built_on_it_is(night: Night, fallen) -> None:
    fallen()
    assert not isinstance(night.claim("gpu0", Idea("again", knobs={"k0": "2"})), Claim)
    claim = night.claim("gpu0", Idea("again", knobs={"k1": "2"}))
    assert isinstance(claim, Claim)
    assert night.enter(claim, turned(night.base, 1, 2)).experiment == claim.experiment, "nor is its code a repetition"


def test_what_is_tested_on_it_starts_anew_without_the_false_numbers(night: Night) -> None:
    cheat = night.keep("gpu0", 0, 0.5)
    tested = night.draft("gpu1", 1)
    assert night.run("gpu1", 0.4).status is None  # type: ignore[union-attr]
    work = night.measure("gpu1")
    catch(night, cheat, CAUGHT)
    verdict = night.record("gpu1", work, 0.4)
    assert verdict and verdict.status is None and night.state(tested) == "testing"
    assert isinstance(night.next("gpu1"), Rebase)
    while night.state(tested) == "testing":
        verdict = night.run("gpu1", 1.3)
    assert verdict and verdict.status is Status.DISCARD and verdict.gain and verdict.gain < 0, "of clean runs alone"
    assert night.row(tested)["quarantine"] == ""


def test_another_night_that_starts_from_it_measures_it_anew(night: Night, fallen, make_night) -> None:
    _, honest = fallen()
    again = make_night(tag="apr6", base=night.board.source(night.row(honest)["source"]).files["train.py"])
    again.baselines(0.49)
    loser = again.draft("gpu0", 3)
    verdict = again.run("gpu0", 1.5)
    assert verdict and verdict.status is Status.DISCARD and again.state(loser) == "judged"


def test_what_stands_on_flagged_code_that_leads_is_given_up(night: Night) -> None:
    cheat = night.keep("gpu0", 0, 0.5)
    night.ledger.execute("UPDATE experiments SET rung = 'invalid' WHERE id = ?", cheat)  # and nobody took it back
    tested = night.draft("gpu1", 1)
    night.run("gpu1", 0.4)
    assert (night.state(tested), night.row(tested)["status"]) == ("judged", "discard")


def test_the_trunk_never_goes_back_to_a_cheat(night: Night, fallen) -> None:
    cheat, _ = fallen()
    lucky = night.keep("gpu0", 4, 0.998)
    night.draft("gpu0", 6)
    values = {"first": iter([0.9973]), "replicate": iter([0.9975, 1.0028]), "refresh": iter([1.007, 1.007])}
    for purpose in ("first", "replicate", "refresh", "replicate", "refresh"):
        work = night.measure("gpu0")
        night.record("gpu0", work, next(values[purpose]))
    assert night.row(night.trunk()[-1] or "")["source"] == night.base.sha
    assert (night.row(lucky)["rung"], night.row(cheat)["rung"]) == ("undone", "invalid")


@pytest.fixture
def restored(night: Night) -> str:
    """A cheat, and a lucky step on it that was rolled back since: the tip has the cheat's code. Gives the cheat."""
    cheat, _ = night.keep("gpu0", 0, 0.5), night.keep("gpu1", 1, 0.49)
    night.undo(2, 1)
    return cheat


def test_nor_to_a_step_that_restored_a_cheat(night: Night, restored: str) -> None:
    for value in (0.5, 0.5001):  # runs that nobody selected: enough for the false number to win
        later(night, restored, "refresh", value)
    catch(night, restored, CAUGHT, "refresh")
    assert night.row(night.trunk()[-1] or "")["source"] == night.base.sha and len(night.trunk()) == 5
    assert night.row(restored)["rung"] == "invalid"


def test_a_cheat_that_leads_although_it_is_flagged_is_taken_back(night: Night, restored: str) -> None:
    night.ledger.execute("UPDATE experiments SET rung = 'invalid', quarantine = 'caught' WHERE id = ?", restored)
    catch(night, restored, CAUGHT)
    assert night.row(night.trunk()[-1] or "")["source"] == night.base.sha


def test_a_later_rollback_leaves_it_flagged(night: Night, fallen) -> None:
    cheat, honest = fallen()
    night.keep("gpu0", 4, 0.998)
    night.undo(4, 0)
    assert [night.row(name)["rung"] for name in (cheat, honest)] == ["invalid", "tainted"]


@pytest.mark.parametrize(("times", "rung"), [(1, "kept"), (2, "invalid")])
def test_a_machine_may_be_late_once(fallen, night: Night, times: int, rung: str) -> None:
    cheat, _ = fallen("clock: it trained for 400.0 seconds with a budget of 300", times, Check.CLOCK)
    assert night.row(cheat)["rung"] == rung
    assert len(night.trunk()) == (4 if rung == "invalid" else 3)


def test_the_untouched_code_is_only_told(night: Night, fallen) -> None:
    catch(night, "apr5-gpu0-0000", CAUGHT)
    assert night.trunk() == [None]
    told = night.ledger.value("SELECT text FROM events WHERE kind = 'warning' ORDER BY id DESC")
    assert told == f"the untouched code itself was found invalid: {CAUGHT}"
