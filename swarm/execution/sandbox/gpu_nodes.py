"""The device files that open a GPU to the programs in a sandbox: those of a slot's own GPU, and no other's."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from swarm.execution.slot import Slot

DEVICES, PCI = Path("/dev"), Path("/sys/bus/pci/devices")
OTHER_MAKERS = ("kfd", "dri")  # AMD's, and all that draw
_WSL = "dxg"
_CARD = re.compile(r"nvidia\d+")  # all other files of NVIDIA's are needed with each of its GPUs


def gpu_nodes(slot: Slot, counted: bool) -> tuple[Path, ...]:
    """What the programs in a slot can open.

    With CUDA its own GPU, for computing and for drawing; all there are where the driver does not tell which files are
    that GPU's (`own_card`), as on WSL. On a CPU none where the CPU time is `counted` as training; else those of other
    makers, which no slot stands for, and never NVIDIA's.
    """
    if slot.device != "cuda":
        return () if counted else _there(OTHER_MAKERS)
    nvidia = sorted(DEVICES.glob("nvidia*"))
    own = own_card(slot.gpu or "")
    if own is None or DEVICES / f"nvidia{own[0]}" not in nvidia:
        return (*nvidia, *_there((*OTHER_MAKERS, _WSL)))
    kept = [path for path in nvidia if not _CARD.fullmatch(path.name) or path.name == f"nvidia{own[0]}"]
    return (*kept, *_there(f"dri/{path.name}" for path in (PCI / own[1] / "drm").glob("*")))


def nvidia_is_here() -> bool:
    """Whether NVIDIA's driver is there, by its device files: nothing is loaded, and no GPU wakes up."""
    return bool(_there(("nvidiactl", _WSL)))


def own_card(uuid: str) -> tuple[int, str] | None:
    """The number N of a GPU's /dev/nvidiaN, which is not always its index, and its place on the bus, as Linux writes
    it; of a part of a GPU (MIG) those of the whole. None where the driver does not tell."""
    from swarm.execution.machine import gpu  # heavy to import, and needed on a GPU only

    nvml = gpu.driver()
    if nvml is None:
        return None
    try:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        with contextlib.suppress(nvml.NVMLError):  # it is no part
            handle = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
        number, place = nvml.nvmlDeviceGetMinorNumber(handle), nvml.nvmlDeviceGetPciInfo(handle)
    except nvml.NVMLError:
        return None
    return number, f"{place.domain:04x}:{place.bus:02x}:{place.device:02x}.0"


def _there(names: Iterable[str]) -> tuple[Path, ...]:
    return tuple(path for path in sorted(DEVICES / name for name in names) if path.exists())
