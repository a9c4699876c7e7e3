"""Which GPUs a Ray cluster has for a swarm, found out before anything is planned or written."""

from __future__ import annotations

import platform
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from swarm.coordinator.actors import ACCELERATOR, accelerator_here
from swarm.coordinator.cluster import join, leave
from swarm.errors import SwarmError, UsageError
from swarm.launch.slots import FoundGpu, SlotAssignment, assign_slots, leading_model, own_slot
from swarm.project.settings import Config

A_LOOK = 20.0  # seconds in which GPUs that are there answer; all the time there is where nothing may be started
STARTING = 300.0  # seconds that one may take which was given to us: its host may be busy


class GpuProbe:
    """An actor that holds one GPU for a moment and reports it. Asking for it makes an autoscaler start its machine."""

    def report(self, kind: str) -> FoundGpu:
        host, accelerator = platform.node(), accelerator_here()
        try:
            return FoundGpu(host, own_slot(kind, accelerator)[1], accelerator=accelerator)
        except SwarmError as error:
            return FoundGpu(host, "", str(error), accelerator)


def cluster_slots(address: str, tell: Callable[[str], None], config: Config, device: str = "") -> SlotAssignment:
    """A slot for each agent on the GPUs of the Ray cluster at `address`: as many as `--gpus` says, or as there are.

    Waits as long as the config says for GPUs that still have to be started, and reports those found by `tell`. A dry
    run takes what is there. GPUs of `device`, which is that of a resumed swarm, are preferred. UsageError where there
    are none, or the cluster cannot be joined.
    """
    kind = "sim" if config.device == "sim" else "cuda"
    if config.device not in ("auto", "cuda", "sim") or "," in (config.gpus or ""):
        raise UsageError(
            "a cluster is used by the number of its GPUs: --gpus 32, without --device or indices; to use this machine"
            " instead, `unset RAY_ADDRESS`"
        )
    join(address)
    try:
        return _gather(config, kind, device, address, tell)
    finally:
        leave()


def _gather(config: Config, kind: str, device: str, address: str, tell: Callable[[str], None]) -> SlotAssignment:
    import ray

    there = int(ray.cluster_resources().get("GPU", 0))
    wanted = int(config.gpus or 0) or config.agents or there
    if not wanted:
        raise UsageError(
            "the cluster has no GPU now: say how many it should bring up, as in --gpus 8; to use this machine instead,"
            " `unset RAY_ADDRESS`"
        )
    free = _free()
    called = max(wanted, there) if _mixed() else wanted  # or those of one model might all be of another's
    make = ray.remote(GpuProbe).options(num_cpus=0, num_gpus=1)
    probes = [make.remote() for _ in range(called)]
    coming = [probe.report.remote(kind) for probe in probes]
    found: list[FoundGpu] = []
    patience = A_LOOK if config.dry_run or wanted <= there else config.wait
    begun = time.monotonic()
    first = device.removeprefix(f"{kind}: ")
    while coming and not _enough(found, wanted, first):
        waited = time.monotonic() - begun
        if waited > patience and (waited > STARTING or len(free) - len(_free()) <= len(found)):
            break  # nobody is on the way any more
        done, coming = ray.wait(coming, timeout=1.0)
        found += [_answer(report) for report in done]
        if done:
            tell(_describe(found, wanted, first))
    assignment = assign_slots(found, kind, wanted, called, device, _mixed())
    if len(assignment.slots) > sum(assignment.hosts.values()):
        later = "who comes later takes up work then, and `ray status` names who is awaited"
        tell(f"after {patience:.0f} s: {_describe(found, wanted, first)}; {later}")
    for line in left_out(found, assignment.device, address, free):
        tell(line)
    return assignment


def _enough(found: Sequence[FoundGpu], wanted: int, model: str) -> bool:
    """Whether as many GPUs as are wanted are there of one model, of `model` where that is given."""
    models = Counter(gpu.model for gpu in found if not gpu.fault)
    return (models[model] if model else max(models.values(), default=0)) >= wanted


def _mixed() -> bool:
    """Whether Ray knows of GPUs of several models."""
    return len({accelerator for accelerator, *_ in _hosts()}) > 1


def _free() -> list[tuple[str, str]]:
    """What Ray calls the model of each GPU that nobody holds, and the GPU's host."""
    from ray._private.state import available_resources_per_node  # Ray has no other way to ask for it

    free = available_resources_per_node()
    return [
        (accelerator, host)
        for accelerator, host, node in _hosts()
        for _ in range(int(free.get(node, {}).get("GPU", 0)))
    ]


def _hosts() -> Iterator[tuple[str, str, str]]:
    """Of each host with GPUs: what Ray calls their model ("" where it has no name), the host's name, and Ray's id."""
    import ray

    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("GPU"):
            yield node["Labels"].get(ACCELERATOR, ""), node["NodeManagerHostname"], node["NodeID"]


def left_out(
    found: Sequence[FoundGpu], device: str, address: str, free: Sequence[tuple[str, str]] = ()
) -> Iterator[str]:
    """What to tell of the GPUs that are not of the swarm's model, and how they are used all the same.

    Those that came, and those that were `free` and are known to Ray alone, as enough of the swarm's model came first:
    (what Ray calls the model, host) of each.
    """
    kind, model = device.split(": ", 1)
    names = {gpu.accelerator: gpu.model for gpu in found if gpu.model}
    faulty = Counter((gpu.accelerator, gpu.host) for gpu in found if gpu.fault)
    known = Counter(free) - faulty
    came = [(gpu.model, gpu.host) for gpu in found]
    there = [(names.get(accelerator, accelerator), host) for accelerator, host in known.elements()]
    counts = Counter(other for other, _ in came) | Counter(other for other, _ in there)
    for other, count in sorted(counts.items()):
        if other in ("", model):
            continue
        hosts = ", ".join(sorted({host for name, host in (*came, *there) if name == other}))
        clone = "../" + re.sub(r"[^a-z0-9]+", "-", other.lower()).strip("-")
        flags = f"--gpus {count}" + " --device sim" * (kind == "sim") + f" --address {address}"
        yield (
            f"{count} of {other} left out ({hosts}): different GPUs share no ranking, and this swarm's are {model}."
            f" Once it runs, they can have a swarm of their own beside it:"
            f" test -d {clone} || git clone . {clone} && cd {clone} && python -m swarm launch {flags}"
        )


def _answer(report: Any) -> FoundGpu:
    import ray
    from ray.exceptions import RayError

    try:
        return ray.get(report)
    except RayError as error:  # its host went away again, or has another version of this package
        return FoundGpu("a host", "", str(error).strip().splitlines()[-1])


def _describe(found: list[FoundGpu], wanted: int, first: str) -> str:
    """How many of the wanted GPUs are there, of one model; then the others, and those that cannot be used."""
    usable = [gpu for gpu in found if not gpu.fault]
    model = leading_model(found, first)
    hosts = Counter(gpu.host for gpu in usable if gpu.model == model)
    others = Counter(gpu.model for gpu in usable if gpu.model != model)
    parts = [
        f"{hosts.total()} of {wanted} GPUs: {', '.join(f'{n} on {host}' for host, n in hosts.items())}",
        *(f"{n} of {other}" for other, n in others.items()),
        *(f"{gpu.host}: {gpu.fault}" for gpu in found if gpu.fault),
    ]
    return "; ".join(parts)
