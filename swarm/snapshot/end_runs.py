"""The runs with which a swarm ends, as far as they are made: what the board's scheduler has still to give."""

from __future__ import annotations

import math
from collections.abc import Sequence

from swarm.judge.closing import closing_runs
from swarm.judge.decide import read_policy
from swarm.ledger.measurements import HiddenRun
from swarm.ledger.rows import RunState, SwarmRow
from swarm.records import Purpose
from swarm.snapshot.records import EndRuns


def end_runs(swarm: SwarmRow, tries: Sequence[HiddenRun], best: str, resumed: Sequence[float]) -> EndRuns | None:
    """Those of a swarm whose leader is the code `best`; None where that is the untouched code, or it has ended."""
    if swarm.ended is not None or best == swarm.base_source:
        return None
    policy, since = read_policy(swarm.policy), max(resumed, default=swarm.started)
    runs = [each.run for each in tries if each.run.state is not RunState.LOST]
    waves = [run for run in runs if run.purpose is Purpose.CLOSING and run.source in (best, swarm.base_source)]
    begun = any(run.started >= since for run in waves)
    again = sum(run.purpose is Purpose.REFRESH for run in runs)
    doubts = 0 if begun else max(math.ceil(policy.dawn * swarm.measured) - again, 0)
    wanted = closing_runs(policy.closing_runs, policy.closing_part, swarm.measured - swarm.closing)
    done = sum(run.state is not RunState.RUNNING for run in waves)
    return EndRuns(doubts, 2 * wanted, min(done, 2 * wanted), begun)
