"""The GPUs (through NVML), CPU cores and memory of this host. Never imports torch."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from swarm.execution.machine import cgroup

GIB = 2**30
LEAST_MEMORY = 4096.0  # MB
SMALL = 1024.0  # MB of a run below which an agent more is no gain

_DEVICES = Path("/dev")
_FIRST_USE = "import ctypes; ctypes.CDLL('libcuda.so.1').cuInit(0)"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU at this moment. `index` is NVML's (PCI order), `load` is 0..1, None where it is not known."""

    index: int
    uuid: str
    name: str
    memory_gb: float
    used_gb: float
    load: float | None = None
    watts: float | None = None
    holders: tuple[tuple[int, str], ...] = ()  # (pid, program) of the processes that compute on it
    divided: bool = False  # into MIG instances
    exclusive: bool = False  # its compute mode lets in one process at a time, or none


def gpus() -> list[Gpu]:
    """The GPUs that CUDA_VISIBLE_DEVICES lets this process use, in its order; [] where there is no NVIDIA driver."""
    nvml = driver()
    count = nvml.nvmlDeviceGetCount() if nvml else 0
    found = filter(None, map(load, range(count)))  # a GPU that fell off the bus hides no other
    return visible(list(found), os.environ.get("CUDA_VISIBLE_DEVICES"))


def count() -> int:
    """Number of GPUs of this host, whether visible to this process or not."""
    nvml = driver()
    return nvml.nvmlDeviceGetCount() if nvml else 0


def load(which: int | str) -> Gpu | None:
    """One GPU as it is now, by its NVML index or uuid, whatever is visible; None where it cannot be read."""
    nvml = driver()
    if nvml is None:
        return None
    find = nvml.nvmlDeviceGetHandleByIndex if isinstance(which, int) else nvml.nvmlDeviceGetHandleByUUID
    try:
        return _look(nvml, find(which))
    except nvml.NVMLError:
        return None


def names_instances() -> bool:
    """Whether CUDA_VISIBLE_DEVICES names MIG instances, which are parts of a GPU, and no slots."""
    return driver() is not None and os.environ.get("CUDA_VISIBLE_DEVICES", "").strip().startswith("MIG-")


def unfit(cards: Iterable[Gpu], referee: bool) -> str:
    """Why runs cannot be made on these GPUs, in one line with the remedy; "" where they can.

    A `referee` computes at the same time as the two processes of the model that it measures.
    """
    cards = list(cards)
    divided = ",".join(str(card.index) for card in cards if card.divided)
    exclusive = ",".join(str(card.index) for card in cards if card.exclusive)
    if divided:
        return (
            f"gpu {divided} is divided into MIG instances, and only whole GPUs are supported:"
            f" `sudo nvidia-smi -i {divided} -mig 0`, or others by --gpus"
        )
    if referee and exclusive:
        return (
            f"gpu {exclusive} lets in one process at a time, by its compute mode, and a model is measured by three:"
            f" `sudo nvidia-smi -i {exclusive} -c DEFAULT`"
        )
    return ""


def prepare_devices() -> None:
    """Has the driver make /dev/nvidia-uvm where it is missing, as after a start of the machine. Blocks for seconds.

    CUDA's first use does that, through a setuid program, which has no power in a sandbox; asking NVML does not.
    """
    if not (_DEVICES / "nvidia-uvm").exists():
        _use_cuda()


@functools.cache  # where it did not help once, as on WSL, which has no such device, it never will
def _use_cuda() -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError):  # then the training fails, and says what is wrong
        subprocess.run([sys.executable, "-S", "-c", _FIRST_USE], capture_output=True, timeout=60, check=False)


def visible(found: list[Gpu], variable: str | None) -> list[Gpu]:
    """Those that a CUDA_VISIBLE_DEVICES names, by index or by the beginning of a uuid; all where it is None.

    As CUDA does it, the first name that fits no GPU, or one a second time, ends the list.
    """
    if variable is None:
        return found
    chosen: list[Gpu] = []
    for name in variable.replace(" ", "").split(","):
        fits = [gpu for gpu in found if _is_called(gpu, name)]
        if len(fits) != 1 or fits[0] in chosen:
            break
        chosen.append(fits[0])
    return chosen


def _is_called(gpu: Gpu, name: str) -> bool:
    return name == str(gpu.index) or (name.startswith("GPU-") and gpu.uuid.startswith(name))


def cores_for(slot: int, slots: int) -> tuple[int, ...]:
    """The CPU cores of one of `slots` equal shares of what this process may use; shares repeat where cores are few.

    Neighbouring numbers stay together, which on the usual numbering keeps a share within one NUMA node.
    """
    cores = _cores()
    if slots >= len(cores):
        return (cores[slot % len(cores)],)
    return tuple(cores[slot * len(cores) // slots : (slot + 1) * len(cores) // slots])


def _cores() -> list[int]:
    """The cores that this process may use: as many as its container's quota pays for, but at least one."""
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))
    quota = cgroup.cores()
    return cores if quota is None else cores[: max(1, int(quota))]


def memory_for(slots: int) -> float:
    """MB of the host's memory that a run in one of `slots` slots may take for itself: nine tenths, in equal shares.

    Never less than LEAST_MEMORY, as not all take their share at once; what this container may use counts as the host's.
    """
    whole = _memory()
    return min(0.9 * whole, max(LEAST_MEMORY, 0.9 * whole / slots))


def most_in_memory() -> int:
    """How many runs at a time this host's memory has room for where each is a small one; at least one."""
    return max(1, int(0.9 * _memory() / SMALL))


def _memory() -> float:
    """MB of memory of this host, or of what this container may use of it."""
    return min(psutil.virtual_memory().total / 2**20, cgroup.memory_mb() or math.inf)


def device_kind() -> str:
    """ "cuda" where NVML sees a GPU that may be used, or a part of one, "mps" on Apple silicon, else "cpu"."""
    if gpus() or names_instances():
        return "cuda"
    return "mps" if sys.platform == "darwin" and platform.machine() == "arm64" else "cpu"


def device_name(kind: str) -> str:
    """The model of the accelerator (of the first GPU, or the processor): results are compared only within one."""
    if kind == "cuda":
        found = gpus()
        return found[0].name if found else "unknown NVIDIA GPU"
    return _processor()


@functools.cache
def _processor() -> str:
    if sys.platform == "darwin":
        model = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        ).stdout.strip()
        return model or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@functools.cache
def driver() -> Any | None:
    """The NVML binding; None where there is no driver. Stays open: without its last client a GPU may fall asleep."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _look(nvml: Any, handle: Any) -> Gpu:
    def query(function: Callable[[Any], Any]) -> Any | None:
        """What the driver answers; None where it does not know it of this GPU, or not for this user."""
        with contextlib.suppress(nvml.NVMLError):
            return function(handle)
        return None

    memory = query(nvml.nvmlDeviceGetMemoryInfo) or psutil.virtual_memory()  # what a GPU without its own uses (GB10)
    rates, milliwatts = query(nvml.nvmlDeviceGetUtilizationRates), query(nvml.nvmlDeviceGetPowerUsage)
    mig, mode = query(nvml.nvmlDeviceGetMigMode), query(nvml.nvmlDeviceGetComputeMode)
    return Gpu(
        index=nvml.nvmlDeviceGetIndex(handle),
        uuid=nvml.nvmlDeviceGetUUID(handle),
        name=nvml.nvmlDeviceGetName(handle),
        memory_gb=memory.total / GIB,
        used_gb=memory.used / GIB,
        load=None if rates is None else rates.gpu / 100,
        watts=None if milliwatts is None else milliwatts / 1000,
        holders=tuple(
            (process.pid, _program(process.pid)) for process in query(nvml.nvmlDeviceGetComputeRunningProcesses) or ()
        ),
        divided=mig is not None and mig[0] == nvml.NVML_DEVICE_MIG_ENABLE,
        exclusive=mode not in (None, nvml.NVML_COMPUTEMODE_DEFAULT),
    )


def _program(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:  # in another container, or gone
        return "unknown program"
