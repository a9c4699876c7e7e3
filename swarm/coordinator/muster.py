"""Who comes when a cluster is asked for GPUs: looked at before anything is planned or written."""

from __future__ import annotations

import platform
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from swarm.config import Config, seconds
from swarm.coordinator.actors import ACCELERATOR, accelerator_here
from swarm.coordinator.cluster import join, leave
from swarm.errors import SwarmError, UsageError
from swarm.slots import Arrival, Seating, own_slot, seats_of

A_LOOK = 20.0  # seconds in which GPUs that are there answer; all the time there is where nothing may be started


class Scout:
    """Holds one GPU for a moment. Asking for it makes an autoscaler bring its machine up."""

    def report(self, kind: str) -> Arrival:
        host, accelerator = platform.node(), accelerator_here()
        try:
            return Arrival(host, own_slot(kind, accelerator)[1], accelerator=accelerator)
        except SwarmError as error:
            return Arrival(host, "", str(error))


def muster(address: str, tell: Callable[[str], None], config: Config, device: str = "") -> Seating:
    """The seats on the GPUs of the Ray cluster at `address`, whose number is what `--gpus` says, or what it has.

    Waits as long as the config says for those that still have to be brought up, and tells who came. A dry run takes
    what is there. Those of `device`, which is that of a resumed night, come first. UsageError where nothing came, or
    the cluster cannot be joined.
    """
    kind = "sim" if config.device == "sim" else "cuda"
    if config.device not in ("auto", "cuda", "sim") or "," in (config.gpus or ""):
        raise UsageError("a cluster is used by the number of its GPUs: launch --gpus 32, without --device or indices")
    join(address)
    try:
        return _gather(config, kind, device, tell)
    finally:
        leave()


def _gather(config: Config, kind: str, device: str, tell: Callable[[str], None]) -> Seating:
    import ray

    there = int(ray.cluster_resources().get("GPU", 0))
    wanted = int(config.gpus or 0) or config.agents or there
    if not wanted:
        raise UsageError("the cluster has no GPU now: say how many it should bring up, as in --gpus 8")
    called = max(wanted, there) if _mixed() else wanted  # or those of one model might all be of another's
    make = ray.remote(Scout).options(num_cpus=0, num_gpus=1)
    scouts = [make.remote() for _ in range(called)]
    coming = [scout.report.remote(kind) for scout in scouts]
    arrivals: list[Arrival] = []
    patience = A_LOOK if config.dry_run or wanted <= there else seconds(config.wait)
    deadline = time.monotonic() + patience
    while coming and time.monotonic() < deadline and not _enough(arrivals, wanted, device.removeprefix(f"{kind}: ")):
        done, coming = ray.wait(coming, timeout=1.0)
        arrivals += [_answer(report) for report in done]
        if done:
            tell(_told(arrivals, called))
    if coming and time.monotonic() >= deadline:
        later = "who comes later takes up work then, and `ray status` names who is awaited"
        tell(f"after {patience:.0f} s: {_told(arrivals, called)}; {later}")
    seating = seats_of(arrivals, kind, wanted, called, device)
    for line in left_out(arrivals, seating.device, config.address):
        tell(line)
    return seating


def _enough(arrivals: Sequence[Arrival], wanted: int, model: str) -> bool:
    """Whether as many as are wanted came of one model, of `model` where that is given."""
    models = Counter(arrival.model for arrival in arrivals if not arrival.fault)
    return (models[model] if model else max(models.values(), default=0)) >= wanted


def _mixed() -> bool:
    """Whether Ray knows of GPUs of several models."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    return len({node["Labels"].get(ACCELERATOR) for node in nodes}) > 1


def left_out(arrivals: Sequence[Arrival], device: str, address: str | None = None) -> Iterator[str]:
    """What to tell of the GPUs that came and are not of the swarm's model, and how they are used all the same."""
    kind, model = device.split(": ", 1)
    others = [arrival for arrival in arrivals if arrival.model not in ("", model)]
    for other, count in Counter(arrival.model for arrival in others).items():
        hosts = ", ".join(sorted({arrival.host for arrival in others if arrival.model == other}))
        clone = "../" + re.sub(r"[^a-z0-9]+", "-", other.lower()).strip("-")
        flags = f"--gpus {count}" + " --device sim" * (kind == "sim") + (f" --address {address}" if address else "")
        yield (
            f"{count} of {other} left out ({hosts}): different GPUs share no ranking, and this swarm's are {model}."
            f" Once it runs, they can have a swarm of their own beside it:"
            f" git clone . {clone} && cd {clone} && python -m swarm launch {flags}"
        )


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
