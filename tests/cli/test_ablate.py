"""What `show champion --patch --minimal` says was not looked at."""

from __future__ import annotations

import json

import pytest

from swarm.cli.ablate import _not_looked_at
from swarm.ledger.transaction import of_swarm
from swarm.records import Failure, Purpose, Run
from tests.board.nights import Night


@pytest.mark.parametrize("failure", [None, Failure.CHECKS])
def test_what_was_not_checked_is_named(make_night, failure: Failure | None) -> None:
    night: Night = make_night(settings=json.dumps({"checks": ["pytest -q"], "hidden": ["python hidden.py"]}))
    night.baselines()
    sha = night.base.sha
    both = ["the project's checks", "a number on the hidden split"]
    assert _not_looked_at(of_swarm(night.ledger, night.tag), sha) == both
    row = {"experiment": "x", "agent": "gpu0", "purpose": Purpose.CHECK, "seed": 1, "source": sha, "parent": sha}
    run = Run("x.1", 1, 2.0, 1.0, 0.0, failure=failure)
    more = {"state": "checked", "failure": failure, "fence": 1, "started": 2.0}
    night.ledger.insert("runs", id=run.run, attempt=1, tag=night.tag, **row, **more)
    assert _not_looked_at(of_swarm(night.ledger, night.tag), sha) == (both if failure else both[1:])
    night.swarm(settings="{}")
    assert _not_looked_at(of_swarm(night.ledger, night.tag), sha) == []
