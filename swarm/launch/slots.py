"""The slots of a swarm's agents on this machine or a cluster: one per GPU, or per CPU core where there is none."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm.errors import HostFault, UsageError
from swarm.execution.machine import cgroup, gpu
from swarm.execution.sandbox.gpu_nodes import nvidia_is_here
from swarm.execution.slot import Slot
from swarm.project.project import Project
from swarm.project.settings import Config


@dataclass(frozen=True, slots=True)
class FoundGpu:
    """A GPU of a cluster: its host and its model; `fault` says why it cannot be used, if so.

    `accelerator` is what Ray calls the model, where it does: the label of the host.
    """

    host: str
    model: str
    fault: str = ""
    accelerator: str = ""


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """One slot per agent, and their device, as in "cuda: NVIDIA H200".

    On a cluster each agent learns its own slot on the host where Ray starts it, and `hosts` counts the GPUs that were
    found; it is empty where the swarm uses this machine only. Where a cluster has GPUs of several models, agents are
    placed by `accelerator`, which is Ray's name of theirs.
    """

    slots: Mapping[str, Slot]
    device: str
    hosts: Mapping[str, int] = field(default_factory=dict)
    accelerator: str = ""


def local_slots(config: Config, device: str = "") -> SlotAssignment:
    """The slots on this machine; UsageError, with the remedy, where it does not have what the config asks for.

    The `device` of a resumed swarm does not matter here: people choose GPUs by index.
    """
    return local_slots_on(config, gpu.device_kind() if config.device == "auto" else config.device)


def local_slots_on(config: Config, kind: str) -> SlotAssignment:
    """The same on one kind of device: cuda, mps, cpu or sim."""
    if kind == "mps" and sys.platform != "darwin":
        raise UsageError(f"--device mps is a Mac's GPU, and this is {sys.platform}: use --device auto")
    slots, model = _slots_here(config, kind)
    return SlotAssignment(slots, f"{kind}: {model}")


def assign_slots(
    found: Sequence[FoundGpu], kind: str, wanted: int, requested: int = 0, device: str = "", mixed: bool = False
) -> SlotAssignment:
    """The slots on a cluster: `wanted` agents on GPUs of one model, that of `device`, or else the most frequent one.

    Of the `requested` GPUs (`wanted`, if not more) those that were not found yet may be of that model: an agent starts
    there when they are. `mixed` says that the cluster has several models, though only one of them may have been found.
    UsageError where no GPU can be used.
    """
    usable = [one for one in found if not one.fault]
    if not usable:
        faults = "; ".join(dict.fromkeys(f"{one.host}: {one.fault}" for one in found))
        raise UsageError(
            f"no GPU of the cluster can be used ({faults or 'none came'}): see `ray status` for what it has,"
            " and give it longer with --wait 30m"
        )
    model = leading_model(found, device.removeprefix(f"{kind}: "))
    chosen = [one for one in usable if one.model == model]
    others = len(usable) - len(chosen)  # their agents would only be refused
    count = min(wanted, max(wanted, requested) - others)
    accelerators = {one.accelerator for one in chosen} if others or mixed else set()
    return SlotAssignment(
        {f"gpu{index}": Slot(kind, index) for index in range(count)},
        f"{kind}: {model}",
        Counter(one.host for one in chosen),
        accelerators.pop() if len(accelerators) == 1 else "",
    )


def leading_model(found: Sequence[FoundGpu], first: str = "") -> str:
    """The model `first` where one of it can be used, or else the most frequent one; "" where none can be used."""
    models = Counter(one.model for one in found if not one.fault)
    return first if models[first] else max(models, key=lambda model: (models[model], model), default="")


def own_slot(kind: str, accelerator: str = "") -> tuple[Slot, str]:
    """The slot on the one GPU that Ray gave this process, and the GPU's model; MachineFault where it cannot be used.

    A simulated GPU is of the model that its host's label says, its `accelerator`, if it has one.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if kind == "sim":
        return Slot("sim", int(given), gpu=given), accelerator or gpu.device_name("sim")
    seen = gpu.gpus()
    if len(seen) != 1:
        raise HostFault(f"{platform.node()}: Ray gives GPU {given!r}, and the driver shows {len(seen)} of that name")
    [card] = seen
    if card.holders:
        raise HostFault(f"{platform.node()}: in use by other processes: {_describe(card)}")
    cores, memory = gpu.cores_for(card.index, gpu.count()), gpu.memory_for(gpu.count())
    own = Slot("cuda", card.index, gpu=card.uuid, cores=cores, threads=len(cores), lock=card.uuid, memory=memory)
    return own, card.name


def unfit(slots: Iterable[Slot], project: Project) -> str:
    """Why the project cannot run on the GPUs of these slots, with the remedy; "" where it can."""
    cards = (gpu.load(slot.lock) for slot in slots if slot.lock)
    return gpu.unfit(filter(None, cards), referee=bool(project.referee))


def _slots_here(config: Config, kind: str) -> tuple[dict[str, Slot], str]:
    if kind == "cuda":
        return _gpu_slots(config)
    if config.gpus is not None and (kind != "sim" or "," in config.gpus):
        raise UsageError(
            f"--gpus {config.gpus}: this machine has no NVIDIA GPU that can be seen; try `--device cpu --agents 2`"
        )
    cores = gpu.cores_for(0, 1)
    count = config.agents or int(config.gpus or 0) or (1 if kind == "mps" else min(len(cores), gpu.most_in_memory()))
    if kind == "mps" and count > 1:
        raise UsageError(f"--agents {count}: a Mac has one GPU, and so one agent")
    if kind == "cpu" and count > len(cores):
        quota = "" if cgroup.cores() is None else f" by its CPU quota of {cgroup.cores():g}"
        raise UsageError(
            f"--agents {count}: this machine has {len(cores)} core{'s' * (len(cores) > 1)}{quota},"
            " and an agent needs one of its own"
        )
    hidden = "" if kind == "cpu" and nvidia_is_here() else None  # without it, other makers' GPUs heed that variable
    slots = {
        f"gpu{index}": Slot(
            device=kind,
            index=index,
            gpu=str(index) if kind == "sim" else hidden,
            cores=gpu.cores_for(index, count) if kind == "cpu" else (),
            memory=gpu.memory_for(count),
            threads=1 if kind in ("cpu", "sim") else max(1, len(cores) // 2),
        )
        for index in range(count)
    }
    return slots, gpu.device_name(kind)


def _gpu_slots(config: Config) -> tuple[dict[str, Slot], str]:
    chosen = _chosen(config, gpu.gpus())
    busy = [g for g in chosen if g.holders]
    if busy:
        raise UsageError(
            f"in use by other processes: {'; '.join(map(_describe, busy))}; leave them out with --gpus 0,1,.."
        )
    models = sorted({g.name for g in chosen})
    if len(models) > 1:
        raise UsageError(f"results of {' and '.join(models)} cannot be compared: choose GPUs of one kind with --gpus")
    shares = [gpu.cores_for(place, len(chosen)) for place in range(len(chosen))]
    slots = {
        f"gpu{g.index}": Slot(
            "cuda",
            g.index,
            gpu=g.uuid,
            cores=cores,
            threads=len(cores),
            lock=g.uuid,
            memory=gpu.memory_for(len(chosen)),
        )
        for g, cores in zip(chosen, shares, strict=True)
    }
    return slots, models[0]


def _chosen(config: Config, seen: list[gpu.Gpu]) -> list[gpu.Gpu]:
    """The GPUs that were asked for: these, so many, or all."""
    here = f"this machine shows {len(seen)}" + "".join(f"; {_describe(g)}" for g in seen)
    if gpu.names_instances():
        raise UsageError(
            "CUDA_VISIBLE_DEVICES names MIG instances, and only whole GPUs are supported: name those by their indices,"
            " or try `--device cpu --agents 2`"
        )
    if not seen:
        asked = f"--gpus {config.gpus}" if config.gpus else "--device cuda"
        raise UsageError(f"{asked}: this machine has no NVIDIA GPU that can be seen; try `--device cpu --agents 2`")
    if config.gpus and "," in config.gpus:
        wanted = {int(index) for index in config.gpus.split(",")}
        chosen = [g for g in seen if g.index in wanted]
        if len(chosen) < len(wanted):
            raise UsageError(f"--gpus {config.gpus}: not all of these are there: {here}")
        return chosen
    count = int(config.gpus) if config.gpus else min(config.agents or len(seen), len(seen))
    if not 0 < count <= len(seen):
        raise UsageError(f"--gpus {count}: {here}; try `--gpus {len(seen)}`")
    return seen[:count]


def _describe(g: gpu.Gpu) -> str:
    holders = ", ".join(f"{name} (pid {pid})" for pid, name in g.holders)
    return f"gpu {g.index} {g.name}, {g.used_gb:.0f} of {g.memory_gb:.0f} GB used" + (
        f" by {holders}" if holders else ""
    )
