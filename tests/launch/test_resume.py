"""A swarm that finished has nothing to do where a limit is still reached: that is told before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from swarm.launch.resume import limit_reached
from swarm.ledger.transaction import of_swarm
from swarm.project.settings import Config
from tests.board.nights import Night


@pytest.fixture
def done(make_night: Callable[..., Night]) -> Night:
    """Two of two experiments, and one of eight hours."""
    hours = {"deadline": 1_000_000.0 + 8 * 3600, "settings": json.dumps({"hours": 8.0})}
    night = make_night(max_experiments=2, **hours)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    night.keep("gpu1", 1, 0.98)
    return night


def reached(night: Night, **settings: Any) -> str:
    return limit_reached(of_swarm(night.ledger, night.tag, night.clock.now), Config(resume=True, **settings))


def test_as_many_experiments_as_the_limit_says_leave_nothing_to_do(done):
    done.swarm(status="finished")
    assert reached(done, max_experiments=2) == (
        "apr5 has done 2 of its 2 experiments: for more of them, --max-experiments 4"
    )
    assert not reached(done, max_experiments=3) and not reached(done)


def test_hours_that_are_over_leave_nothing_to_do_and_others_do(done):
    done.swarm(status="finished")
    assert not reached(done, hours=8.0)
    done.clock.tick(8 * 3600 - 5)
    done.board.tell("a word")  # the last event before the end
    assert reached(done, hours=8.0) == "apr5 has used its 8h: for more time, --hours 2h, which counts from then on"
    assert not reached(done, hours=2.0) and not reached(done)


@pytest.mark.parametrize("status", ["stopped", "interrupted", "running", "failed"])
def test_a_swarm_that_did_not_finish_goes_on(done, status):
    done.swarm(status=status)
    assert not reached(done, max_experiments=2)


def test_an_experiment_that_was_begun_gets_its_verdict(done):
    done.swarm(max_experiments=3)
    done.draft("gpu0", 2)
    done.swarm(status="finished")
    assert not reached(done, max_experiments=2)
