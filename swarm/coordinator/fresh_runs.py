"""Fresh runs of an ended swarm's codes, made while no swarm runs, here or on a cluster: for confirm and ablate.

They go through the same runner and referee as a swarm's runs. Every run is in the ledger before it starts: what was
cut off is made again when the same question is asked again.
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

from swarm.board import trials
from swarm.errors import MachineFault, SwarmError, UsageError
from swarm.execution.protocol import Runner
from swarm.execution.runner import LocalRunner
from swarm.execution.sandbox.sandbox import wanted
from swarm.history.projection import Projection
from swarm.history.repository import History
from swarm.launch.plan import Plan, base_tree, environment, make_plan
from swarm.launch.slots import SlotAssignment, local_slots
from swarm.ledger import runs
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import Transaction, of_swarm
from swarm.ledger.transitions import set_commits
from swarm.project.settings import Config
from swarm.records import Measure, Run

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where fresh runs are made: the ledger, which is ours meanwhile, the swarm's plan, and a runner for each agent."""

    ledger: Ledger
    plan: Plan
    runners: Mapping[str, Runner]
    say: Say


@contextlib.contextmanager
def workplace(root: Path, tag: str, places: Config, most: int, verb: str, say: Say) -> Iterator[Workplace]:
    """The slots of an ended swarm. `places` may name other `gpus` or `agents` than the swarm's, or a cluster, of which
    at most so many GPUs are taken; `verb` is what the runs are for, and their folder's name.

    UsageError, and nothing done, where a swarm runs, no slot is free, or results could not be compared with the
    swarm's.
    """
    config = Config(
        tag=tag, resume=True, gpus=places.gpus, agents=places.agents, sandbox=places.sandbox, wait=places.wait
    ).check()
    address = places.address or os.environ.get("RAY_ADDRESS")
    where = functools.partial(_slots_on, address, most, verb, say) if address else local_slots
    plan = make_plan(root, config, find_slots=where, thinks=False)
    os.environ.update(environment(plan))
    with (
        _runners(plan, address or "", verb, say) as runners,
        contextlib.closing(Ledger(ledger_path(plan.root), write=True)) as ledger,
    ):
        yield Workplace(ledger, plan, runners, say)


def _slots_on(address: str, most: int, verb: str, say: Say, config: Config, device: str) -> SlotAssignment:
    """The GPUs of the cluster at `address` that are there; a pair is made on one, so no more than there are of them."""
    from swarm.coordinator.cluster_gpus import cluster_slots

    if device.partition(":")[0] not in ("cuda", "sim"):
        raise UsageError(
            f"{config.tag} was measured on {device}, and a cluster offers its GPUs alone: to {verb} it here,"
            f" `unset RAY_ADDRESS` and leave out --address"
        )
    if config.gpus and config.gpus.isdigit():
        config = replace(config, gpus=str(min(int(config.gpus), most)))
    assignment = cluster_slots(address, say, config, device)
    few = min(sum(assignment.hosts.values()), most)
    return replace(assignment, slots=dict(list(assignment.slots.items())[:few]))


@contextlib.contextmanager
def _runners(plan: Plan, address: str, verb: str, say: Say) -> Iterator[Mapping[str, Runner]]:
    """Where the runs are made, by agent: in processes of the cluster's where the plan names its hosts, or else here."""
    folder = plan.folder / verb
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


class FreshRuns:
    """The runs that a question still lacks, on all runners. A subclass says which those are."""

    verb = ""  # that asks the question, for people

    def __init__(self, place: Workplace):
        self.ledger, self.plan, self.runners, self.say = place.ledger, place.plan, dict(place.runners), place.say
        self.swarm = of_swarm(self.ledger, self.plan.tag).swarm
        self.alive: set[str] = set()
        with self.ledger.transaction():
            self._lose_running()  # whoever began them was cut off: the ledger is ours now

    async def _ask(self, agent: str) -> Measure | None:
        """The agent's next run; None where nothing is left for it."""
        raise NotImplementedError

    async def work(self) -> None:
        """Until nothing is left to run; whatever ends it early, no run is left behind as running.

        SwarmError where no runner is left to work in.
        """
        try:
            while self.runners and await self._lost_some():
                pass
        finally:
            with self.ledger.transaction():
                self._lose_running()
        if not self.runners:
            raise SwarmError(f"no GPU is left to {self.verb} on; what was measured is kept: the same command goes on")

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

    def _now(self) -> Transaction:
        return of_swarm(self.ledger, self.plan.tag, time.time())

    async def _work(self, agent: str, runner: Runner) -> None:
        try:
            for run in await asyncio.to_thread(runner.leftovers):
                self._record(agent, run)
            while (work := await self._ask(agent)) is not None:
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
