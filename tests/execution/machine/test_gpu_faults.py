"""What a driver says of a GPU's faults; the driver is made up, as there is no GPU here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from swarm.execution import runner
from swarm.execution.machine import gpu
from swarm.execution.machine.gpu_faults import GpuWatch
from swarm.records import Failure


class Refusal(Exception):
    """NVML's error."""


class Driver:
    """NVML with one GPU, whose faults a test sets while it is watched."""

    NVMLError = Refusal
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, nvmlEventTypeXidCriticalError = 1, 0, 8

    def __init__(self) -> None:
        self.errors: int | None = 3
        self.xids: list[int] = []
        self.open = 0

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetTotalEccErrors(self, handle: str, kind: int, counter: int) -> int:
        if self.errors is None:
            raise Refusal("not supported")
        assert (kind, counter) == (1, 0)
        return self.errors

    def nvmlEventSetCreate(self) -> object:
        self.open += 1
        return object()

    def nvmlDeviceRegisterEvents(self, handle: str, kinds: int, events: object) -> None:
        assert kinds == 8

    def nvmlEventSetWait_v2(self, events: object, milliseconds: int) -> SimpleNamespace:
        if not self.xids:
            raise Refusal("timeout")
        return SimpleNamespace(eventData=self.xids.pop(0))

    def nvmlEventSetFree(self, events: object) -> None:
        self.open -= 1


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made, there = Driver(), gpu.Gpu(0, "GPU-a", "NVIDIA H200", 141.0, 1.0)
    monkeypatch.setattr(gpu, "driver", lambda: made)
    monkeypatch.setattr(gpu, "load", lambda which: there)
    return made


@pytest.mark.parametrize(
    ("happens", "fault"),
    [
        (lambda driver: None, ""),
        (lambda driver: driver.xids.extend([13, 31, 43, 45]), ""),  # what any program can do
        (lambda driver: driver.xids.extend([31, 79, 79, 48]), "the driver noted Xid 79, 48 on GPU-a"),
        (
            lambda driver: setattr(driver, "errors", 5),
            "the driver counted 2 memory errors on GPU-a that ECC cannot cor",
        ),
        (lambda driver: setattr(driver, "errors", None), ""),
    ],
)
def test_what_the_driver_noted_meanwhile(driver: Driver, happens: Callable[[Driver], None], fault: str) -> None:
    watch = GpuWatch("GPU-a")
    happens(driver)
    assert watch.fault().startswith(fault) and bool(watch.fault()) == bool(fault and "memory" in fault)
    assert driver.open == 0, "nothing is watched any more"


def test_a_gpu_that_is_gone(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = GpuWatch("GPU-a")
    monkeypatch.setattr(gpu, "load", lambda which: None)
    assert watch.fault() == "the driver has lost GPU-a"
    assert GpuWatch("GPU-a").fault() == "", "it was not there before either"


def test_without_a_driver_nobody_is_a_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "driver", lambda: None)
    assert GpuWatch("GPU-a").fault() == ""


@pytest.mark.parametrize("fault", ["", "the driver noted Xid 79 on GPU-x"])
def test_a_run_on_a_gpu_with_a_fault_fell_to_the_machine(rig, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(gpu, "load", lambda which: None)
    monkeypatch.setattr(runner, "_watch", lambda slot: SimpleNamespace(fault=lambda: fault))
    rig.slot = replace(rig.slot, device="cuda", lock="GPU-x")
    run = rig.run("raise RuntimeError('CUDA error: uncorrectable ECC error')")
    assert (run.failure, run.own_word) == (Failure.INFRASTRUCTURE, not fault)
    assert run.reason.startswith(fault)
    assert rig.run("print('val_bpb: 1')", attempt=2).metrics, "a number is a number"
