"""Which agents a machine can seat: one slot per GPU, or per core where there is none."""

from __future__ import annotations

from swarm.config import Config
from swarm.errors import UsageError
from swarm.workshop import gpu
from swarm.workshop.runner import Slot


def slots_for(config: Config, kind: str) -> tuple[dict[str, Slot], str]:
    """One slot per agent, named after the GPU it stands for; and the accelerator's model."""
    if kind == "cuda":
        return _gpu_slots(config)
    if config.gpus is not None and (kind != "sim" or "," in config.gpus):
        raise UsageError(
            f"--gpus {config.gpus}: this machine has no NVIDIA GPU that can be seen; try `--device cpu --agents 2`"
        )
    cores = gpu.cores_for(0, 1)
    count = config.agents or int(config.gpus or 0) or (1 if kind == "mps" else len(cores))
    if kind == "mps" and count > 1:
        raise UsageError(f"--agents {count}: a Mac has one GPU, and so one agent")
    if kind == "cpu" and count > len(cores):
        raise UsageError(f"--agents {count}: this machine has {len(cores)} cores, and an agent needs one of its own")
    slots = {
        f"gpu{index}": Slot(
            device=kind,
            index=index,
            gpu=str(index) if kind == "sim" else None,
            cores=gpu.cores_for(index, count) if kind == "cpu" else (),
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
        f"gpu{g.index}": Slot("cuda", g.index, gpu=g.uuid, cores=cores, threads=len(cores), lock=g.uuid)
        for g, cores in zip(chosen, shares, strict=True)
    }
    return slots, models[0]


def _chosen(config: Config, seen: list[gpu.Gpu]) -> list[gpu.Gpu]:
    """The GPUs that were asked for: these, so many, or all."""
    here = f"this machine shows {len(seen)}" + "".join(f"; {_describe(g)}" for g in seen)
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
