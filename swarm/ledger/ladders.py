"""The runs of scale ladders, as they lie beside the ledger: `ladder.jsonl` in a swarm's folder, a line a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from swarm import foreign
from swarm.judge.ladder import Ladder, Pairs, climb


class LadderRun(Struct, frozen=True):
    """One run of an experiment at a budget (seconds). `value` is None where it gave no number, for that `reason`;
    `against` is the rival it was asked against, "" for the rival's own run."""

    experiment: str
    budget: float
    seed: int
    value: float | None
    reason: str = ""
    against: str = ""


def ladder_file(folder: Path) -> Path:
    return folder / "ladder.jsonl"


def read_ladder_runs(folder: Path) -> tuple[LadderRun, ...]:
    """The runs of all ladders of the swarm in this folder; a line that cannot be read is none."""
    try:
        lines = ladder_file(folder).read_bytes().splitlines()
    except OSError:
        return ()
    return tuple(run for line in lines if (run := _run(foreign.parse_object(line))))


def ladder_of(runs: Sequence[LadderRun], experiment: str, rival: str, sign: int) -> Ladder | None:
    """The ladder of this experiment against that one; None where there are too few runs. `sign` makes lower better."""
    values = {(run.experiment, run.budget, run.seed): run.value * sign for run in runs if run.value is not None}
    pairs = []
    for budget in sorted({run.budget for run in runs}):
        seeds = sorted(seed for name, at, seed in values if name == experiment and at == budget)
        both = [seed for seed in seeds if (rival, budget, seed) in values]
        ours, theirs = (tuple(values[name, budget, seed] for seed in both) for name in (experiment, rival))
        pairs.append(Pairs(budget, ours, theirs))
    return climb(pairs)


def questions(runs: Sequence[LadderRun]) -> list[tuple[str, str]]:
    """Which experiment was asked against which, in the order in which they were first asked."""
    return list(dict.fromkeys((run.experiment, run.against) for run in runs if run.against))


def _run(line: Mapping[str, object]) -> LadderRun | None:
    name, seed, budget = line.get("experiment"), line.get("seed"), foreign.finite(line.get("budget"))
    if not isinstance(name, str) or not isinstance(seed, int) or budget is None or not 0 < budget < math.inf:
        return None
    value, said = foreign.finite(line.get("value")), (str(line.get(key) or "") for key in ("reason", "against"))
    return LadderRun(name, budget, seed, value, *said)
