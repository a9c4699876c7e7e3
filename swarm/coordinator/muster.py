"""Who comes when a cluster is asked for GPUs: looked at before anything is planned or written."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from swarm.config import Config, seconds
from swarm.coordinator.cluster import join, leave
from swarm.errors import SwarmError, UsageError
from swarm.slots import Arrival, Seating, own_slot, seats_of

A_LOOK = 20.0  # seconds in which GPUs that are there answer; all the time there is where nothing may be started


class Scout:
    """Holds one GPU for a moment. Asking for it makes an autoscaler bring its machine up."""

    def report(self, kind: str) -> Arrival:
        host = platform.node()
        try:
            return Arrival(host, own_slot(kind)[1])
        except SwarmError as error:
            return Arrival(host, "", str(error))


def muster(address: str, tell: Callable[[str], None], config: Config) -> Seating:
    """The seats on the GPUs of the Ray cluster at `address`, whose number is what `--gpus` says, or what it has.

    Waits as long as the config says for those that still have to be brought up, and tells who came. A dry run takes
    what is there. UsageError where nothing came, or the cluster cannot be joined.
    """
    kind = "sim" if config.device == "sim" else "cuda"
    if config.device not in ("auto", "cuda", "sim") or "," in (config.gpus or ""):
        raise UsageError("a cluster is used by the number of its GPUs: launch --gpus 32, without --device or indices")
    join(address)
    try:
        return _gather(config, kind, tell)
    finally:
        leave()


def _gather(config: Config, kind: str, tell: Callable[[str], None]) -> Seating:
    import ray

    there = int(ray.cluster_resources().get("GPU", 0))
    wanted = int(config.gpus or 0) or config.agents or there
    if not wanted:
        raise UsageError("the cluster has no GPU now: say how many it should bring up, as in --gpus 8")
    make = ray.remote(Scout).options(num_cpus=0, num_gpus=1)
    scouts = [make.remote() for _ in range(wanted)]
    coming = [scout.report.remote(kind) for scout in scouts]
    arrivals: list[Arrival] = []
    patience = A_LOOK if config.dry_run or wanted <= there else seconds(config.wait)
    deadline = time.monotonic() + patience
    while coming and time.monotonic() < deadline:
        done, coming = ray.wait(coming, timeout=1.0)
        arrivals += [_answer(report) for report in done]
        if done:
            tell(_told(arrivals, wanted))
    if coming:
        tell(f"after {patience:.0f} s: {_told(arrivals, wanted)}; who comes later takes up work then")
    seating = seats_of(arrivals, kind, wanted)
    for line in left_out(arrivals, seating.device.removeprefix(f"{kind}: ")):
        tell(line)
    return seating


def left_out(arrivals: Sequence[Arrival], model: str) -> Iterator[str]:
    """What to tell of the GPUs that came and are not of the swarm's model."""
    for other, count in Counter(arrival.model for arrival in arrivals if arrival.model not in ("", model)).items():
        yield f"{count} of {other} left out: different GPUs share no ranking, and most of those that came are {model}"


def _answer(report: Any) -> Arrival:
    import ray
    from ray.exceptions import RayError

    try:
        return ray.get(report)
    except RayError as error:  # its host went away again, or has another version of this package
        return Arrival("a host", "", str(error).strip().splitlines()[-1])


def _told(arrivals: list[Arrival], wanted: int) -> str:
    hosts = Counter(arrival.host for arrival in arrivals if not arrival.fault)
    faults = "".join(f"; {arrival.host}: {arrival.fault}" for arrival in arrivals if arrival.fault)
    return f"{hosts.total()} of {wanted} GPUs: {', '.join(f'{n} on {host}' for host, n in hosts.items())}{faults}"
