"""A swarm that is opened again has an end of its own: its closing runs, its ablation, and the time that they need.

python -m pytest tests/board/test_lives.py
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swarm.ledger.ablations import AblationState, newest
from swarm.ledger.swarms import Life, reopen
from swarm.snapshot.build import Picture
from tests.board.nights import Night
from tests.board.test_ablations import GAINS, carried, until_the_end

MakeNight = Callable[..., Night]
HOUR = 3600.0


def ended_and_opened_again(make_night: MakeNight, hours: float | None, max_experiments: int | None) -> Night:
    night = carried(make_night)
    until_the_end(night)
    assert newest(night.ledger, night.tag, AblationState.ENDED)
    night.clock.tick(HOUR)
    agents = {"gpu0": ("a device", "optimizer")}
    settings = '{"ablation": true}'
    reopen(night.ledger, night.tag, agents, night.clock.now, hours, max_experiments, "scripted", settings)
    return night


def test_an_hour_more_is_an_hour_of_ideas(make_night: MakeNight) -> None:
    """No time is kept for an ablation that was made, and none is as long as the swarm's whole past would allow."""
    night = ended_and_opened_again(make_night, hours=1.0, max_experiments=None)
    night.swarm(measured=1200, closing=0, measured_seconds=1200 * 300.0)  # of five minutes each, nearly all before
    night.ledger.memory["life"] = {night.tag: Life(night.clock.now, 1200)}
    assert night.board.wants_draft("gpu0")
    night.clock.tick(0.9 * HOUR)
    assert not night.board.wants_draft("gpu0"), "its closing runs still need their time"


def test_both_sides_of_the_headline_run_at_the_same_end(make_night: MakeNight, monkeypatch: pytest.MonkeyPatch) -> None:
    night = ended_and_opened_again(make_night, hours=None, max_experiments=5)
    before = {run["seed"] for run in night.runs("purpose = 'closing'")}
    monkeypatch.setitem(GAINS, 4, 0.006)
    best = night.draft("gpu0", 4)
    night.run("gpu0", 1.0 - sum(GAINS.values()))
    opened = night.clock.now
    until_the_end(night)
    assert night.row(best)["status"] == "keep"
    closing = [run for run in night.runs("purpose = 'closing'") if run["started"] >= opened]
    seeds = {
        source: {run["seed"] for run in closing if run["source"] == source}
        for source in (night.base.sha, night.row(best)["source"])
    }
    untouched, leader = seeds.values()
    assert untouched == leader and len(leader) >= 4 and not leader & before
    told = Picture(night.ledger, night.board.swarm).snapshot("", night.clock.now).headline
    assert told and told.n == told.m == len(leader)
