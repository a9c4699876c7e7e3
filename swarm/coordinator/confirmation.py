"""The verb `confirm`: an experiment beside its rival on fresh seeds, while no swarm runs, here or on a cluster.

Both arms have the same data, seeds and budget, and go through the same runner and referee as a swarm's runs. Every
run is in the ledger before it starts: what was cut off is made again when the same question is asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from swarm.board import confirmations, trials
from swarm.errors import MachineFault, SwarmError, UsageError
from swarm.execution.protocol import Runner
from swarm.execution.runner import LocalRunner
from swarm.execution.sandbox import wanted
from swarm.history.projection import Projection
from swarm.history.repository import History
from swarm.judge.comparison import Comparison
from swarm.launch.plan import Plan, base_tree, environment, make_plan
from swarm.launch.slots import SlotAssignment, local_slots
from swarm.ledger import runs
from swarm.ledger.confirmations import confirmation
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import Transaction, of_swarm
from swarm.ledger.transitions import set_commits
from swarm.project.settings import Config
from swarm.records import Measure, Run

Say = Callable[[str], None]
FEWEST, MOST = 2, 500  # seeds


@dataclass(frozen=True, slots=True)
class Question:
    """Which experiment is confirmed against which, on how many seeds; both by their ids."""

    experiment: str
    rival: str
    seeds: int


def answer(root: Path, tag: str, question: Question, places: Config, say: Say) -> Comparison:
    """Runs what is asked and compares. `places` may name other `gpus` or `agents` than the swarm's, or a cluster.

    UsageError, and nothing done, where a swarm runs, no slot is free, or results could not be compared with the
    swarm's. SwarmError where too few runs gave a number.
    """
    if not FEWEST <= question.seeds <= MOST:
        raise UsageError(f"--seeds {question.seeds}: give {FEWEST} to {MOST}; 8 is what most papers need")
    config = Config(
        tag=tag, resume=True, gpus=places.gpus, agents=places.agents, sandbox=places.sandbox, wait=places.wait
    ).check()
    address = places.address or os.environ.get("RAY_ADDRESS")
    where = functools.partial(_slots_on, address, question.seeds, say) if address else local_slots
    plan = make_plan(root, config, find_slots=where, thinks=False)
    os.environ.update(environment(plan))
    with (
        _runners(plan, address or "", say) as runners,
        contextlib.closing(Ledger(ledger_path(plan.root), write=True)) as ledger,
    ):
        confirming = ConfirmationRuns(ledger, plan, question, runners, say)
        asyncio.run(confirming.work())
        confirming.publish()
        return confirming.conclude()


def _slots_on(address: str, seeds: int, say: Say, config: Config, device: str) -> SlotAssignment:
    """The GPUs of the cluster at `address` that are there; a pair is made on one, so no more than there are seeds."""
    from swarm.coordinator.cluster_gpus import cluster_slots

    if device.partition(":")[0] not in ("cuda", "sim"):
        raise UsageError(
            f"{config.tag} was measured on {device}, and a cluster offers its GPUs alone: to confirm it here,"
            " `unset RAY_ADDRESS` and leave out --address"
        )
    if config.gpus and config.gpus.isdigit():
        config = replace(config, gpus=str(min(int(config.gpus), seeds)))
    assignment = cluster_slots(address, say, config, device)
    few = min(sum(assignment.hosts.values()), seeds)
    return replace(assignment, slots=dict(list(assignment.slots.items())[:few]))


@contextlib.contextmanager
def _runners(plan: Plan, address: str, say: Say) -> Iterator[Mapping[str, Runner]]:
    """Where the runs are made, by agent: in processes of the cluster's where the plan names its hosts, or else here."""
    folder = plan.folder / "confirm"
    if plan.hosts:
        from swarm.coordinator.remote_runner import remote_runners

        with remote_runners(plan, address, folder, say) as there:
            yield dict(there)
        return
    base, sandboxed = base_tree(plan), wanted(plan.config.sandbox)
    yield {
        agent: LocalRunner(plan.project, base, folder / agent, slot, sandboxed=sandboxed, checkout=plan.root)
        for agent, slot in plan.slots.items()
    }


class ConfirmationRuns:
    """The runs of one confirmation, on all runners."""

    def __init__(self, ledger: Ledger, plan: Plan, question: Question, runners: Mapping[str, Runner], say: Say):
        self.ledger, self.plan, self.runners, self.say = ledger, plan, dict(runners), say
        self.swarm = of_swarm(ledger, plan.tag).swarm
        with ledger.transaction():
            self._lose_running()  # whoever began them was cut off: the ledger is ours now
            self.number = self._number(question)
        self.alive: set[str] = set()

    async def work(self) -> None:
        """Until every pair is whole; whatever ends it early, no run is left behind as running.

        SwarmError where no runner is left to work in.
        """
        try:
            while self.runners and await self._lost_some():
                pass
        finally:
            with self.ledger.transaction():
                self._lose_running()
        if not self.runners:
            raise SwarmError("no GPU is left to confirm on; what was measured is kept: the same command goes on")

    async def _lost_some(self) -> bool:
        """All runners at work, each until nothing is left for it; whether one was lost meanwhile, and with it work
        that the others did not wait for."""
        before = len(self.runners)
        self.alive = set(self.runners)
        async with asyncio.TaskGroup() as slots:
            for agent, runner in self.runners.items():
                slots.create_task(self._work(agent, runner))
        return len(self.runners) < before

    def publish(self) -> None:
        """Git and results.tsv follow the ledger: a run that is caught cheating, or shows a loss, moves the trunk."""
        plan = self.plan
        Projection(History(plan.root), plan.tag, plan.folder, self._note).follow(self.ledger, whatever=True)

    def _note(self, commits: dict[str, str]) -> None:
        with self.ledger.transaction():
            set_commits(self.ledger, commits)

    def conclude(self) -> Comparison:
        with self.ledger.transaction():
            found = confirmations.conclude_for_people(self._now(), self.number)
        if found is None:
            why = runs.failure_in_confirmation(self.ledger, self.number)
            raise SwarmError(f"too few runs gave a number to compare ({why}): their logs are in {self._folder()}")
        return found

    def _now(self) -> Transaction:
        return of_swarm(self.ledger, self.plan.tag, time.time())

    def _folder(self) -> Path:
        return self.plan.folder / "confirm"

    def _number(self, question: Question) -> int:
        """The open confirmation of this very question, or a new one."""
        return confirmations.ask_for_people(self._now(), question.experiment, question.rival, question.seeds)

    async def _work(self, agent: str, runner: Runner) -> None:
        try:
            for run in await asyncio.to_thread(runner.leftovers):
                self._record(agent, run)
            while (work := self._next(agent)) is not None:
                source = load_source(self.ledger, work.source)
                run = await runner.run(work, source, lambda progress: None)
                self._record(agent, run)
                self._tell(agent, work, run)
        except MachineFault as fault:
            self.say(f"{agent} is lost, and others do its work: {fault}")
            del self.runners[agent]
            with self.ledger.transaction():
                trials.lose_running(self._now(), agent)
        self.alive.discard(agent)

    def _next(self, agent: str) -> Measure | None:
        with self.ledger.transaction():
            test = confirmation(self.ledger, self.number)
            return confirmations.next_run(self._now(), test, agent, 0, self.alive)

    def _record(self, agent: str, run: Run) -> None:
        with self.ledger.transaction():
            trials.record(self._now(), agent, run)
        self.runners[agent].acknowledge(run.run, run.attempt)

    def _tell(self, agent: str, work: Measure, run: Run) -> None:
        value = f"{self.swarm.metric} {run.metrics.value:.6f}" if run.metrics else f"{run.failure}: {run.reason}"
        self.say(f"{agent} {work.experiment} seed {work.seed}: {value}")

    def _lose_running(self) -> None:
        for run in runs.all_running(self.ledger, self.plan.tag):
            trials.lose_running(self._now(), run.agent)
