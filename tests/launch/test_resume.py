"""A swarm that finished has nothing to do where a limit is still reached: that is told before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from swarm.errors import UsageError
from swarm.launch.resume import limit_reached, refuse_other_judge, resumed
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


def reached(night: Night, hours_anew: bool = False, **settings: Any) -> str:
    tx = of_swarm(night.ledger, night.tag, night.clock.now)
    return limit_reached(tx, Config(resume=True, **settings), hours_anew)


@pytest.mark.parametrize(
    ("name", "launched", "default"), [("max_usd", 100.0, 20.0), ("sandbox", "off", "auto"), ("ablation", False, True)]
)
def test_what_is_typed_holds_also_where_it_is_the_default(name, launched, default):
    config, first = Config(tag="apr5", resume=True, **{name: default}), {name: launched, "option": {}}
    assert getattr(resumed(config, first), name) == launched, "nothing was typed"
    assert getattr(resumed(config, first, typed={name}), name) == default


def test_runs_that_could_not_be_compared_are_refused(done):
    before = of_swarm(done.ledger, done.tag, done.clock.now).swarm
    other = "carry" if before.policy != "carry" else "greedy"
    refuse_other_judge(Config(), before, ())
    refuse_other_judge(Config(policy=before.policy, budget=before.budget), before, {"policy", "budget"})
    with pytest.raises(UsageError, match=f"--policy {other}: apr5 is judged by {before.policy} .* --from apr5"):
        refuse_other_judge(Config(policy=other), before, {"policy"})
    with pytest.raises(UsageError, match=r"--budget 7s: each run of apr5 trains for .* go on with --budget"):
        refuse_other_judge(Config(budget=7.0), before, {"budget"})


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
    assert not reached(done, hours=8.0, hours_anew=True), "typed again, they count from then on"


@pytest.mark.parametrize("status", ["stopped", "interrupted", "running", "failed"])
def test_a_swarm_that_did_not_finish_goes_on(done, status):
    done.swarm(status=status)
    assert not reached(done, max_experiments=2)


def test_an_experiment_that_was_begun_gets_its_verdict(done):
    done.swarm(max_experiments=3)
    done.draft("gpu0", 2)
    done.swarm(status="finished")
    assert not reached(done, max_experiments=2)
