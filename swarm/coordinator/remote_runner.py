"""Runners on the GPUs of a Ray cluster, for runs that need no agent, as those of `confirm`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from swarm.coordinator import log_shipping
from swarm.coordinator.actors import AgentSpec, end_with_parent, log_shipper_of, naming_host, open_runner, resources_for
from swarm.coordinator.cluster import first_line, join, leave
from swarm.coordinator.log_shipping import LogChunk
from swarm.errors import MachineFault, SwarmError
from swarm.launch.plan import Plan, base_tree
from swarm.records import Measure, Progress, Run, Source

START_LIMIT = 600.0  # seconds in which they start on GPUs that were free a moment ago
TELL = 15.0  # seconds between two lines about what is waited for


class RunnerActor:
    """A runner in a Ray actor, on the GPU that Ray gave it."""

    def __init__(self, spec: AgentSpec, base: bytes):
        end_with_parent()
        os.environ.update(spec.environment | spec.passed)
        self._spec, self._base, self._log_shipper = spec, base, log_shipper_of(spec)

    def start(self) -> None:
        """Makes the runner; MachineFault, which names the host, where its GPU cannot be used."""
        with naming_host():
            self._runner, _ = open_runner(self._spec, self._base)

    def leftovers(self) -> list[Run]:
        return self._runner.leftovers()

    async def run(self, work: Measure, source: Source) -> tuple[Run, list[LogChunk]]:
        """The run, and its log where that was not written on the head."""
        run = await self._runner.run(work, source, lambda progress: None)
        return run, list(iter(self._log_shipper.next, None)) if self._log_shipper else []

    def acknowledge(self, run: str, attempt: int, keep_model: bool) -> None:
        self._runner.acknowledge(run, attempt, keep_model)


class RemoteRunner:
    """Such a runner as the head uses it: like a local one, but for MachineFault where its host is lost."""

    def __init__(self, actor: Any, folder: Path):
        self._actor, self._folder = actor, folder
        self._started = actor.start.remote()

    def wait_until_started(self, deadline: float, waited_for: Callable[[], None]) -> None:
        """Waits until `deadline`, on the monotonic clock; MachineFault where it has not started, or cannot.

        `waited_for` is called every `TELL` seconds.
        """
        import ray

        with _faults():
            while (left := deadline - time.monotonic()) > TELL and not ray.wait([self._started], timeout=TELL)[0]:
                waited_for()
            ray.get(self._started, timeout=max(0.0, left))

    def leftovers(self) -> list[Run]:
        import ray

        with _faults():
            return ray.get(self._actor.leftovers.remote())

    async def run(self, work: Measure, source: Source, on_progress: Callable[[Progress], None]) -> Run:
        with _faults():
            run, chunks = await self._actor.run.remote(work, source)
        for chunk in chunks:
            log_shipping.store(self._folder, chunk)
        return run

    def acknowledge(self, run: str, attempt: int, keep_model: bool = False) -> None:
        self._actor.acknowledge.remote(run, attempt, keep_model)


@contextlib.contextmanager
def remote_runners(
    plan: Plan, address: str, folder: Path, say: Callable[[str], None]
) -> Iterator[dict[str, RemoteRunner]]:
    """A runner for each of the plan's agents that starts on the cluster at `address`; their logs are in `folder`.

    Those that do not start are reported by `say`. All of them end with the context, with whatever trains there.
    """
    join(address)
    try:
        yield dict(_started(_requested(plan, folder), say))
    finally:
        leave()


def _requested(plan: Plan, folder: Path) -> dict[str, RemoteRunner]:
    import ray

    base, make = ray.put(base_tree(plan)), ray.remote(RunnerActor)
    specs = {agent: AgentSpec.of(plan, agent, folder / agent) for agent in plan.slots}
    return {
        agent: RemoteRunner(make.options(**resources_for(spec)).remote(spec, base), Path(spec.folder))
        for agent, spec in specs.items()
    }


def _started(requested: dict[str, RemoteRunner], say: Callable[[str], None]) -> Iterator[tuple[str, RemoteRunner]]:
    deadline = time.monotonic() + START_LIMIT
    for agent, runner in requested.items():
        try:
            runner.wait_until_started(deadline, lambda agent=agent: say(f"{agent} is starting, and is waited for"))
        except MachineFault as fault:
            say(f"{agent} is left out: {fault}")
        else:
            yield agent, runner


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    from ray.exceptions import RayError, RayTaskError

    try:
        yield
    except (MachineFault, RayError) as error:
        own = isinstance(error, RayTaskError) and not isinstance(error, MachineFault)  # raised there, and no fault
        raise (SwarmError if own else MachineFault)(first_line(error)) from error
