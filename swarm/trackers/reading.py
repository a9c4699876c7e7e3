"""Judged experiments as runs of a tracker, from the ledger."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping

from swarm.ledger.database import Ledger
from swarm.ledger.experiments import judged, own_mean
from swarm.ledger.rows import ExperimentRow, SwarmRow
from swarm.ledger.run_results import newest_run_of
from swarm.ledger.transaction import of_swarm
from swarm.records import Run
from swarm.trackers.records import TrackedRun, Value


def unsent(ledger: Ledger, tag: str, sent: Collection[str]) -> Iterator[TrackedRun]:
    """What was judged and not sent yet, in the order of the verdicts."""
    swarm = of_swarm(ledger, tag).swarm
    for row in judged(ledger, tag):
        if row.id not in sent:
            yield tracked(swarm, row, own_mean(ledger, row.id), newest_run_of(ledger, row))


def tracked(swarm: SwarmRow, row: ExperimentRow, value: float | None, run: Run | None) -> TrackedRun:
    """One experiment. Its id says where it came from, so that no name of this machine is needed."""
    low, high = row.interval
    numbers: Mapping[str, float | None] = {
        swarm.metric: value,
        "gain": row.gain,
        "gain_low": low,
        "gain_high": high,
        "runs": row.n,
        "seconds": run.seconds if run else None,
        "peak_vram_mb": run.metrics.peak_vram_mb if run and run.metrics else None,
    }
    words: Mapping[str, str | None] = {
        "status": row.status,
        "rung": row.rung,
        "outcome": row.outcome,
        "failure": row.failure,
        "reason": row.reason,
    }
    config: dict[str, Value] = {
        "category": "baseline" if row.baseline else row.category,
        "title": row.title,
        "rationale": row.rationale,
        "agent": row.agent,
        "researcher": swarm.researcher_of(row.agent),
        "parent_position": row.position,
        "parent_code": row.parent,
        "commit": row.commit_sha or "",
        "budget_seconds": swarm.budget,
        "policy": swarm.policy,
        **{f"knob.{name}": setting for name, setting in row.knobs.items()},
    }
    told = {name: number for name, number in numbers.items() if number is not None and math.isfinite(number)}
    losses = tuple(loss for loss in (run.trace if run else ()) if loss is not None and math.isfinite(loss))
    return TrackedRun(
        id=row.id,
        group=swarm.tag,
        title=row.title,
        config=config,
        summary=told | {name: str(word) for name, word in words.items() if word},
        curve=losses,
        started=row.started or row.created,
        ended=row.judged or row.created,
    )
