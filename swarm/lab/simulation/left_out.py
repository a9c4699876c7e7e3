"""What the ablation at the end of a simulated swarm finds, measured against the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swarm.agent.leave_out import LineCode, leave_out
from swarm.ledger import ablations
from swarm.ledger.ablations import AblationState
from swarm.ledger.database import Ledger
from swarm.ledger.runs import all_runs
from swarm.ledger.sources import load_source
from swarm.records import Purpose, Source
from swarm.snapshot.ablation import changed_lines


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One swarm's ablation. A step is truly null where the final code is no worse without it; one of which nothing is
    left there does not count. Gains are in val_bpb;
    `seen` counts the steps that were measured, `covered` those whose interval holds their true gain in the stack."""

    steps: int
    nulls: int
    dropped: int
    dropped_nulls: int
    seen: int
    covered: int
    lines: int
    lines_saved: int
    gain: float  # of the whole line
    lost: float  # of that, without what was dropped
    verified: bool
    runs: int


def left_out(ledger: Ledger, tag: str, value: Callable[[Source], float]) -> LeftOut | None:
    """What the swarm's newest ablation came to; None where it made none. `value` is the truth."""
    row = ablations.newest(ledger, tag, AblationState.ENDED)
    steps = ablations.steps_of(ledger, row.id) if row else []
    if row is None or not steps:
        return None
    line = [LineCode(s.experiment, load_source(ledger, s.before), load_source(ledger, s.source)) for s in steps]
    base, full = line[0].before, load_source(ledger, row.source)
    minimal = load_source(ledger, row.minimal) if row.minimal and row.verified else full
    without = {step.name: leave_out(line, {step.name})[0] for step in line}
    worth = {name: value(made) - value(full) for name, made in without.items() if made.files != full.files}
    gone = {step.experiment for step in steps if step.dropped} if minimal is not full else set[str]()
    nulls = {name for name, gain in worth.items() if gain <= 0}
    seen = [(s, s.low or 0.0, s.high or 0.0) for s in steps if s.runs and s.gain is not None]
    return LeftOut(
        steps=len(worth),
        nulls=len(nulls),
        dropped=len(gone),
        dropped_nulls=len(gone & nulls),
        seen=len(seen),
        covered=sum(low <= worth[step.experiment] <= high for step, low, high in seen),
        lines=changed_lines(base, full),
        lines_saved=changed_lines(base, full) - changed_lines(base, minimal),
        gain=value(base) - value(full),
        lost=value(minimal) - value(full),
        verified=row.verified,
        runs=sum(run.purpose is Purpose.ABLATE for run in all_runs(ledger, tag)),
    )
