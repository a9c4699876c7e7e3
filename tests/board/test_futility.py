"""Hopeless runs end half way only where the swarm's own curves show that no winner is lost. They leave no number."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.history.results_writer import write_results
from swarm.records import Failure, Measure, Outcome, Status
from swarm.snapshot.build import Picture
from swarm.wording.facts import facts
from tests.board.nights import KNOBS, Night

MakeNight = Callable[..., Night]
BUDGET = 100.0


def curve(level: float, chance: random.Random) -> tuple[tuple[float, float], ...]:
    """Losses fall with time, and show what the code is worth more and more."""
    return tuple(
        (BUDGET * (tenth + 1) / 10, 4 - tenth / 10 + (level - 1) * min(1, 0.3 + tenth / 8) + 0.0003 * chance.gauss())
        for tenth in range(10)
    )


def night_with(make_night: MakeNight, ideas: int, told: bool = True) -> Night:
    """So many ideas, of which every tenth gains. Where curves do not tell, winners begin as the worst losers do."""
    night, chance, level = make_night(policy="carry", agents=1), random.Random(1), 1.0
    night.join()
    for _ in range(2):
        night.record("gpu0", night.measure("gpu0"), 1.0 + 0.0005 * chance.gauss(), curve=curve(1.0, chance))
    for number in range(ideas):
        gains = number % 10 == 5
        effect = 0.006 if gains else -chance.expovariate(1 / 0.008)
        name = night.draft("gpu0", number % KNOBS, number + 10)
        shown = level - effect + (0 if told or not gains else 0.1)
        night.record("gpu0", night.measure("gpu0"), level - effect, curve=curve(shown, chance))
        assert night.state(name) == "judged"
        level -= effect if night.row(name)["status"] == "keep" else 0.0
    return night


def first(night: Night) -> tuple[str, Measure]:
    name = night.draft("gpu0", 3, 999)
    return name, night.measure("gpu0")


def test_a_run_is_watched_where_the_swarm_knows_enough(make_night: MakeNight) -> None:
    _, work = first(night_with(make_night, 40))
    assert [(check.begin, check.end) for check in work.checkpoints] == [(40.0, 50.0), (60.0, 70.0)]
    parents = [4 - tenth / 10 for tenth in (4, 6)]
    assert all(0 < check.most - loss + 0.03 < 0.06 for check, loss in zip(work.checkpoints, parents, strict=True))


def test_it_is_told_once_and_can_be_turned_off(make_night: MakeNight) -> None:
    night = night_with(make_night, 40)
    [told] = night.ledger.rows("SELECT text FROM events WHERE kind = 'futility'")
    assert "--no-futility" in told["text"] and "full curves it would have lost 0 of " in told["text"]
    night.swarm(settings='{"futility": false}')
    assert first(night)[1].checkpoints == ()


@pytest.mark.parametrize(("ideas", "told"), [(12, True), (40, False)])
def test_none_is_where_it_does_not(make_night: MakeNight, ideas: int, told: bool) -> None:
    assert first(night_with(make_night, ideas, told))[1].checkpoints == ()


def test_what_was_ended_is_a_discard_without_a_number(make_night: MakeNight, tmp_path: Path) -> None:
    night = night_with(make_night, 40)
    name, work = first(night)
    before = night.trunk()
    verdict = night.record("gpu0", work, Failure.FUTILE, reason="ended after 50 s of training, without a number")
    assert verdict and (verdict.status, verdict.outcome, verdict.gain) == (Status.DISCARD, Outcome.FUTILE, None)
    row = night.row(name)
    assert (row["state"], row["status"], row["n"], row["gain"]) == ("judged", "discard", 0, None)
    assert night.runs(f"experiment = '{name}'")[0]["value"] is None and night.trunk() == before
    assert night.next("gpu0") != work
    night.ledger.execute("UPDATE experiments SET commit_sha = 'abcdef1' WHERE id = ?", name)
    write_results(night.ledger, night.tag, tmp_path)
    (line,) = [line for line in (tmp_path / "gpu0/results.tsv").read_text().splitlines() if line[:7] == "abcdef1"]
    assert line.split("\t")[1::2] == ["nan", "discard"]
    assert line.endswith("(ended half way as hopeless, so without a number)")
    told = facts(Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now))
    assert told["ended half way as hopeless"].startswith("1 run, which saved")
