"""How much memory of a GPU a step's processes take, asked of NVML by ctypes: the guard starts with the stdlib only."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Collection

_LIBRARY = "libnvidia-ml.so.1"
_MOST = 1024  # processes of one GPU
_UNKNOWN = 2**64 - 1  # what NVML says where it may not tell


class _Process(ctypes.Structure):
    _fields_ = [  # nvmlProcessInfo_t
        ("pid", ctypes.c_uint), ("used", ctypes.c_ulonglong), ("instance", ctypes.c_uint), ("part", ctypes.c_uint),
    ]  # fmt: skip


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class GpuMemory:
    """The memory of one GPU, by its uuid. `peak_mb` is the most that the processes took at a look; None where NVML
    tells nothing.

    Where it knows the processes by other numbers, as in a container, what is used beyond what was used at first counts:
    a slot has its GPU alone.
    """

    def __init__(self, uuid: str) -> None:
        self.peak_mb: float | None = None
        self._device = ctypes.c_void_p()
        self._nvml: ctypes.CDLL | None = None
        with contextlib.suppress(OSError, AttributeError):
            nvml = ctypes.CDLL(_LIBRARY)
            found = nvml.nvmlInit_v2() == 0
            if found and nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(self._device)) == 0:
                self._nvml = nvml
        self._before = self._used_mb() or 0.0

    def look(self, pids: Collection[int]) -> None:
        """Notes what the processes take now."""
        taken = self._taken_mb(pids)
        if taken is None and (used := self._used_mb()) is not None:
            taken = max(0.0, used - self._before)
        if taken is not None:
            self.peak_mb = max(self.peak_mb or 0.0, taken)

    def _taken_mb(self, pids: Collection[int]) -> float | None:
        """What NVML says of these processes; None where it knows none of them, or not what they take."""
        if self._nvml is None:
            return None
        count, processes = ctypes.c_uint(_MOST), (_Process * _MOST)()
        with contextlib.suppress(AttributeError):  # an old driver
            if self._nvml.nvmlDeviceGetComputeRunningProcesses_v3(self._device, ctypes.byref(count), processes) == 0:
                ours = [process.used for process in processes[: count.value] if process.pid in pids]
                if ours and _UNKNOWN not in ours:
                    return sum(ours) / 2**20
        return None

    def _used_mb(self) -> float | None:
        """What is used of the GPU, by whomever."""
        memory = _Memory()
        if self._nvml is None or self._nvml.nvmlDeviceGetMemoryInfo(self._device, ctypes.byref(memory)) != 0:
            return None
        return memory.used / 2**20
