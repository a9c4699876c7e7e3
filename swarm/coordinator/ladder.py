"""The verb `confirm --budgets`: a champion beside the baseline at several budgets, here, while no swarm runs.

What is measured under another budget can never be compared with the swarm's results: it stays out of the ledger, in
`ladder.jsonl` in the swarm's folder, a line a run. What is there already is not run again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from msgspec import structs

from swarm.coordinator.pair_runs import paired, run_pairs
from swarm.errors import SwarmError, UsageError
from swarm.judge.ladder import LEAST_PAIRS, Ladder
from swarm.launch.plan import Plan, make_plan
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiment
from swarm.ledger.home import ledger_path
from swarm.ledger.ladders import LadderRun, ladder_file, ladder_of, read_ladder_runs
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import of_swarm
from swarm.project.settings import Config
from swarm.records import Run, Source

SEEDS = 50_000_000  # of the first pair: no run of a swarm ever has such a seed
MOST = 500  # seeds

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LadderQuestion:
    """Which experiment against which, by their ids; at which budgets (seconds), on how many seeds each."""

    experiment: str
    rival: str
    budgets: tuple[float, ...]
    seeds: int


def climb_ladder(root: Path, tag: str, question: LadderQuestion, places: Config, say: Say) -> Ladder:
    """Makes the runs that are missing, and compares. UsageError, and nothing done, where it cannot be; SwarmError where
    too few runs gave a number."""
    _check(question)
    config = Config(tag=tag, resume=True, gpus=places.gpus, agents=places.agents, sandbox=places.sandbox).check()
    plan = make_plan(root, config, thinks=False)
    if plan.code.unread:
        raise UsageError(f"--budgets: {plan.code.unread}, so that no budget reaches it")
    with contextlib.closing(Ledger(ledger_path(plan.root), write=True)) as ledger:  # held: no swarm starts meanwhile
        sign = of_swarm(ledger, tag).swarm.sign
        sources = {name: load_source(ledger, experiment(ledger, name).source or "") for name in _arms(question)}
        LadderRuns(plan, question, sources, say).work()
    found = ladder_of(read_ladder_runs(plan.folder), question.experiment, question.rival, sign)
    if found is None:
        raise SwarmError(f"too few runs gave a number to compare: see {ladder_file(plan.folder)}")
    return found


def _check(question: LadderQuestion) -> None:
    if len(set(question.budgets)) < 2:
        raise UsageError("--budgets: give two or more different ones, as in 300,600,1200 or 5m,10m,20m")
    if not LEAST_PAIRS <= question.seeds <= MOST:
        raise UsageError(f"--seeds {question.seeds}: give {LEAST_PAIRS} to {MOST}; 4 tell a trend, 8 are better")


def _arms(question: LadderQuestion) -> tuple[str, str]:
    return question.experiment, question.rival


class LadderRuns:
    """The runs of one ladder, rung by rung."""

    def __init__(self, plan: Plan, question: LadderQuestion, sources: Mapping[str, Source], say: Say) -> None:
        self._plan, self._question, self._sources, self._say = plan, question, sources, say
        self._file = ladder_file(plan.folder)
        made = read_ladder_runs(plan.folder)
        self._done = {(run.experiment, run.budget, run.seed) for run in made}

    def work(self) -> None:
        for budget in sorted(set(self._question.budgets)):
            seeds = range(SEEDS, SEEDS + self._question.seeds)
            pairs = [self._missing(budget, pair) for pair in paired(_arms(self._question), seeds)]
            if any(pairs):
                plan = replace(self._plan, budget=budget)
                run_pairs(plan, plan.folder / "ladder", self._sources, pairs, partial(self._hear, budget))

    def _missing(self, budget: float, pair: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        return [(name, seed) for name, seed in pair if (name, budget, seed) not in self._done]

    def _hear(self, budget: float, agent: str, name: str, seed: int, run: Run) -> None:
        value = run.metrics.value if run.metrics else None
        against = self._question.rival if name == self._question.experiment else ""
        self._write(LadderRun(name, budget, seed, value, run.reason if run.failure else "", against))
        told = f"{self._plan.project.metric} {value:.6f}" if value is not None else f"{run.failure}: {run.reason}"
        self._say(f"{agent} {name} at {budget:g} s, seed {seed - SEEDS + 1}: {told}")

    def _write(self, run: LadderRun) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(structs.asdict(run)) + "\n")
