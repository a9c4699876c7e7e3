"""What the NVIDIA driver says went wrong with a GPU while a run was made on it: the witness that a run's words are not.

Asked before and after a run, through NVML: whether the GPU is still there, whether memory errors that could not be
corrected became more, and which critical errors (Xid) the driver noted meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from swarm.execution.machine import gpu

# Xid errors of the hardware, the bus or the driver itself. Others (13, 31, 43, 45: a kernel's own bad access) a program
# can cause at will. https://docs.nvidia.com/deploy/xid-errors
OF_THE_HARDWARE = frozenset((46, 48, 61, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140, 143))


class GpuWatch:
    """Watches one GPU from now on, by its uuid. Without a driver that answers now, it never says anything."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self._nvml: Any = gpu.driver()
        self._events: Any = None
        self._errors = self._uncorrected()
        self._there = self._nvml is not None and gpu.load(uuid) is not None
        if self._nvml:
            with self._silence():
                events = self._nvml.nvmlEventSetCreate()
                handle = self._nvml.nvmlDeviceGetHandleByUUID(uuid)
                self._nvml.nvmlDeviceRegisterEvents(handle, self._nvml.nvmlEventTypeXidCriticalError, events)
                self._events = events

    def fault(self) -> str:
        """What went wrong with the GPU since, in one line; "" where the driver knows of nothing. Asked once: the watch
        ends with it."""
        if not self._there:
            return ""
        xids = [xid for xid in self._xids() if xid in OF_THE_HARDWARE]
        self.close()
        if xids:
            return f"the driver noted Xid {', '.join(map(str, dict.fromkeys(xids)))} on {self._uuid}"
        if gpu.load(self._uuid) is None:
            return f"the driver has lost {self._uuid}"
        errors = self._uncorrected()
        if errors is not None and self._errors is not None and errors > self._errors:
            return f"the driver counted {errors - self._errors} memory errors on {self._uuid} that ECC cannot correct"
        return ""

    def close(self) -> None:
        """Watches no longer."""
        events, self._events = self._events, None
        if events is not None:
            with self._silence():
                self._nvml.nvmlEventSetFree(events)

    def _uncorrected(self) -> int | None:
        """Memory errors since the driver was loaded that could not be corrected; None where they are not counted."""
        if self._nvml:
            with self._silence():
                return self._nvml.nvmlDeviceGetTotalEccErrors(
                    self._nvml.nvmlDeviceGetHandleByUUID(self._uuid),
                    self._nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
                    self._nvml.NVML_VOLATILE_ECC,
                )
        return None

    def _xids(self) -> Iterator[int]:
        """The critical errors that the driver noted since the watch began."""
        if self._events is not None:
            with self._silence():  # a timeout at last: nothing more was noted
                while True:
                    yield int(self._nvml.nvmlEventSetWait_v2(self._events, 0).eventData)

    def _silence(self) -> contextlib.suppress:
        """Suppresses that the driver does not say something of this GPU, or not to this user."""
        return contextlib.suppress(self._nvml.NVMLError, AttributeError)
