"""Workshops on the GPUs of a cluster, for whoever has runs to make and nothing to think about."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from swarm.coordinator import log_shipping
from swarm.coordinator.actors import Post, at_home, carrier_of, demand, end_with_parent, open_workshop
from swarm.coordinator.cluster import first_line, join, leave
from swarm.coordinator.log_shipping import Piece
from swarm.errors import MachineFault
from swarm.launch.plan import Plan, base_tree
from swarm.records import Measure, Progress, Run, Source

ARRIVAL = 120.0  # seconds in which those that were seen a moment ago are at their places


class OutpostActor:
    """A workshop in a process of Ray's, on the GPU that it was given."""

    def __init__(self, post: Post, base: bytes):
        end_with_parent()
        os.environ.update(post.environment)
        self._post, self._base, self._carrier = post, base, carrier_of(post)

    def arrive(self) -> None:
        """Opens the workshop; MachineFault, which names the host, where it is not fit for it."""
        with at_home():
            self._workshop, _ = open_workshop(self._post, self._base)

    def leftovers(self) -> list[Run]:
        return self._workshop.leftovers()

    async def run(self, work: Measure, source: Source) -> tuple[Run, list[Piece]]:
        """The run, and its log where that was not written on the head."""
        run = await self._workshop.run(work, source, lambda progress: None)
        return run, list(iter(self._carrier.next, None)) if self._carrier else []

    def acknowledge(self, run: str, attempt: int) -> None:
        self._workshop.acknowledge(run, attempt)


class Outpost:
    """Such a workshop as it is seen from the head: one like those here, but for MachineFault where its host is lost."""

    def __init__(self, actor: Any, folder: Path):
        self._actor, self._folder = actor, folder
        self._arrival = actor.arrive.remote()

    def arrived(self, deadline: float) -> None:
        """Waits until `deadline`, on the monotonic clock; MachineFault where it has not come, or is not fit."""
        import ray

        with _faults():
            ray.get(self._arrival, timeout=max(0.0, deadline - time.monotonic()))

    def leftovers(self) -> list[Run]:
        import ray

        with _faults():
            return ray.get(self._actor.leftovers.remote())

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        with _faults():
            run, pieces = await self._actor.run.remote(work, source)
        for piece in pieces:
            log_shipping.store(self._folder, piece)
        return run

    def acknowledge(self, run: str, attempt: int) -> None:
        self._actor.acknowledge.remote(run, attempt)


@contextlib.contextmanager
def outposts(plan: Plan, address: str, folder: Path, say: Callable[[str], None]) -> Iterator[dict[str, Outpost]]:
    """A workshop for each of the plan's agents that comes, on the cluster at `address`; what they log is in `folder`.

    Who does not come is told. They end with the context, and what still trains there too.
    """
    join(address)
    try:
        yield dict(_arrivals(_called(plan, folder), say))
    finally:
        leave()


def _called(plan: Plan, folder: Path) -> dict[str, Outpost]:
    import ray

    base, make = ray.put(base_tree(plan)), ray.remote(OutpostActor)
    posts = {agent: Post.of(plan, agent, folder / agent) for agent in plan.slots}
    return {
        agent: Outpost(make.options(**demand(post)).remote(post, base), Path(post.folder))
        for agent, post in posts.items()
    }


def _arrivals(called: dict[str, Outpost], say: Callable[[str], None]) -> Iterator[tuple[str, Outpost]]:
    deadline = time.monotonic() + ARRIVAL
    for agent, outpost in called.items():
        try:
            outpost.arrived(deadline)
        except MachineFault as fault:
            say(f"{agent} is left out: {fault}")
        else:
            yield agent, outpost


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:  # a MachineFault that was raised there is one of these as well
        raise MachineFault(first_line(error)) from error
