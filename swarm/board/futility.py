"""Which runs are ended half way, inside the board's transaction: edits far behind their parent, where the swarm's own
full curves show that hardly a winner is lost by it."""

from __future__ import annotations

import math

from msgspec.structs import replace

from swarm.board.verdicts import close
from swarm.judge.futility import MOMENTS, Futility, Limits, in_tenths, limits, look_back, touches_time
from swarm.ledger import events
from swarm.ledger.futile import curve_of, paired_curves
from swarm.ledger.rows import ExperimentRow
from swarm.ledger.swarms import measured_runs
from swarm.ledger.transaction import Transaction
from swarm.records import Checkpoint, Measure, Outcome, Run, Status, Verdict
from swarm.text import plural

_ANEW = 10  # looks back while the measured runs double: rarely enough for a swarm of any length


def watched(tx: Transaction, row: ExperimentRow, work: Measure) -> Measure:
    """A first run with the checkpoints at which it is ended, if it lies too far behind; without any where nothing is
    known, its edit is about time, or its parent did not run on that seed."""
    asked = tx.swarm.settings.get("futility", True) and not touches_time(row.diff)
    known = _limits(tx) if asked else None
    curve = curve_of(tx, work.parent, work.seed) if known else ()
    losses = in_tenths(curve)
    if known is None or losses is None:
        return work
    seconds = [second for second, _ in curve]
    checkpoints = [
        Checkpoint(seconds[tenth - 2], seconds[tenth - 1], losses[tenth - 1] + lag)
        for tenth, lag in zip(MOMENTS, known.lags, strict=True)
    ]
    return replace(work, checkpoints=tuple(checkpoints))


def end(tx: Transaction, row: ExperimentRow, run: Run) -> Verdict:
    """Its first run was ended as futile: the experiment is discarded, without a number."""
    verdict = Verdict(Status.DISCARD, None, None, 0, run.reason, Outcome.FUTILE)
    close(tx, row, verdict)
    return verdict


def _limits(tx: Transaction) -> Limits | None:
    """What the swarm's curves allow, looked at anew whenever it has a tenth more runs."""
    measured = measured_runs(tx)
    age = int(_ANEW * math.log2(max(1, measured)))
    memory = tx.ledger.memory.setdefault("futility", {})
    if memory.get(tx.tag, (None,))[0] != age:
        runs = paired_curves(tx)
        found = look_back(runs)
        memory[tx.tag] = age, limits(runs) if found.allowed else None
        _tell(tx, found)
    return memory[tx.tag][1]


def _tell(tx: Transaction, found: Futility) -> None:
    """Once: runs are ended from now on, and why."""
    if found.allowed and not events.was_told(tx, "futility", ""):
        lost = f"{found.missed} of {plural(found.winners, 'winner')}"
        text = f"hopeless runs end half way from now on: among {found.curves} full curves it would have lost {lost}"
        tx.event("swarm", "futility", f"{text} (`--no-futility` turns it off)", "")
