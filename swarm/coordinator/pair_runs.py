"""Runs of several sources on equal seeds, on all slots of a plan, outside of any swarm: no ledger knows of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from swarm.execution.runner import LocalRunner
from swarm.execution.sandbox.sandbox import wanted
from swarm.launch.plan import Plan, base_tree, environment
from swarm.records import Failure, Measure, Purpose, Run, Source

TRIES = 3  # of a run that the machine lost
_LOST = (Failure.INFRASTRUCTURE, Failure.STALL, Failure.CONTENTION, Failure.INTERRUPTED)

Work = tuple[str, int]  # whose source, and the seed
Hear = Callable[[str, str, int, Run], None]  # by which agent, whose, the seed, and what came of it


def run_pairs(
    plan: Plan, folder: Path, sources: Mapping[str, Source], pairs: Iterable[Sequence[Work]], hear: Hear
) -> None:
    """Makes the runs of each pair on one slot, one after the other, under the plan's budget; `hear` gets each."""
    os.environ.update(environment(plan))
    asyncio.run(_on_all_slots(plan, folder, sources, iter(pairs), hear))


def paired(names: tuple[str, str], seeds: Iterable[int]) -> list[list[Work]]:
    """A pair for each seed, the arms in alternating order."""
    return [[(name, seed) for name in (names if place % 2 else names[::-1])] for place, seed in enumerate(seeds)]


async def _on_all_slots(
    plan: Plan, folder: Path, sources: Mapping[str, Source], pairs: Iterable[Sequence[Work]], hear: Hear
) -> None:
    base, sandboxed = base_tree(plan), wanted(plan.config.sandbox)

    async def work_on(agent: str) -> None:
        place, slot = folder / agent, plan.slots[agent]
        runner = LocalRunner(plan.project, base, place, slot, sandboxed=sandboxed, checkout=plan.root)
        for left in await asyncio.to_thread(runner.leftovers):  # of a command that was cut off
            runner.acknowledge(left.run, left.attempt)
        for pair in pairs:
            for name, seed in pair:
                hear(agent, name, seed, await _run(runner, name, seed, sources[name], plan.budget))

    async with asyncio.TaskGroup() as slots:
        for agent in plan.slots:
            slots.create_task(work_on(agent))


async def _run(runner: LocalRunner, name: str, seed: int, source: Source, budget: float) -> Run:
    """One run, again where the machine lost it."""
    attempt = 0
    while True:
        attempt += 1
        work = Measure(f"{name}.{seed}", attempt, name, name, Purpose.CONFIRM, seed, source.sha, source.sha, budget)
        run = await runner.run(work, source, lambda progress: None)
        runner.acknowledge(run.run, run.attempt)
        if run.failure not in _LOST or attempt == TRIES:
            return run
