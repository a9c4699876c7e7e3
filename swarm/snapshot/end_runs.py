"""The runs with which a swarm ends, as far as they are made: what the board's scheduler has still to give."""

from __future__ import annotations

import math
from collections.abc import Sequence

from swarm.judge.closing import closing_runs
from swarm.judge.decide import read_policy
from swarm.ledger.measurements import HiddenRun
from swarm.ledger.rows import AblationRow, RunState, SwarmRow
from swarm.records import Purpose
from swarm.snapshot.records import EndRuns


def end_runs(
    swarm: SwarmRow, tries: Sequence[HiddenRun], best: str, resumed: Sequence[float], ablation: AblationRow | None
) -> EndRuns | None:
    """Those of a swarm whose leader is the code `best`; None where that is the untouched code, or it has ended.
    `ablation` is the one at its end, while it is open."""
    if swarm.ended is not None or best == swarm.base_source:
        return None
    policy, since = read_policy(swarm.policy), max(resumed, default=0.0)
    runs = [each.run for each in tries if each.run.state is not RunState.LOST]
    closing = [run for run in runs if run.purpose is Purpose.CLOSING and run.source in (best, swarm.base_source)]
    waves = [run for run in closing if run.started >= since]
    begun = bool(waves)
    before = [run for run in runs if run.state is RunState.MEASURED and run.started < since]
    earlier = sum(run.purpose not in (Purpose.CLOSING, Purpose.ABLATE) for run in before)
    measured = swarm.measured - swarm.closing - earlier
    again = sum(run.purpose is Purpose.REFRESH and run.started >= since for run in runs)
    doubts = 0 if begun else max(math.ceil(policy.dawn * measured) - again, 0)
    wanted = closing_runs(policy.closing_runs, policy.closing_part, measured)
    done = sum(run.state is not RunState.RUNNING for run in waves)
    if ablation is None:
        return EndRuns(doubts, 2 * wanted, min(done, 2 * wanted), begun)
    ablated = [run for run in runs if run.purpose is Purpose.ABLATE and run.started >= ablation.began]
    ended = sum(run.state is not RunState.RUNNING for run in ablated)
    return EndRuns(doubts, 2 * wanted, min(done, 2 * wanted), begun, ended, max(ablation.room or 0, ended))
