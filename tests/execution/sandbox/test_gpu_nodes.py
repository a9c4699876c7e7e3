"""Which device files a slot's sandbox opens, on a machine that is made up: there is no GPU here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from swarm.execution.machine import gpu
from swarm.execution.sandbox import gpu_nodes, sandbox
from swarm.execution.sandbox.gpu_nodes import gpu_nodes as nodes
from swarm.execution.slot import Slot
from swarm.execution.spec import Spec

ALL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps", "nvidia-modeset")  # go with every GPU
MINORS = {"GPU-a": 1, "GPU-b": 0, "GPU-c": 2}  # the driver's own numbers
OPENS = """
import json, os, sys
def opens(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
        return True
    except OSError:
        return False
print(json.dumps([path.rpartition("/dev/")[2] for path in sys.argv[1:] if opens(path)]))
"""


class Silent(Exception):
    """The driver's refusal to say something."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three GPUs of NVIDIA's and one of another maker: the folder of their device files."""
    devices, pci = tmp_path / "dev", tmp_path / "pci"
    (devices / "dri").mkdir(parents=True)
    (devices / "nvidia-caps").mkdir()
    for name in (*ALL, "nvidia0", "nvidia1", "nvidia2", "kfd", "null", "nvidia-caps/nvidia-cap1"):
        if not (devices / name).exists():
            (devices / name).touch()
    for number in range(4):
        (devices / "dri" / f"renderD{128 + number}").touch()
        (pci / f"0000:{number + 0xA0:02x}:00.0" / "drm" / f"renderD{128 + number}").mkdir(parents=True)

    def handle(uuid: str) -> str:
        if uuid not in MINORS:
            raise Silent
        return uuid

    def whole(handle: str) -> str:
        raise Silent

    nvml = SimpleNamespace(
        NVMLError=Silent, nvmlDeviceGetHandleByUUID=handle, nvmlDeviceGetDeviceHandleFromMigDeviceHandle=whole,
        nvmlDeviceGetMinorNumber=MINORS.__getitem__,
        nvmlDeviceGetPciInfo=lambda uuid: SimpleNamespace(domain=0, bus=MINORS[uuid] + 0xA0, device=0),
    )  # fmt: skip
    monkeypatch.setattr(gpu, "driver", lambda: nvml)
    monkeypatch.setattr(gpu, "prepare_devices", lambda: None)
    monkeypatch.setattr(gpu, "load", lambda which: None)
    monkeypatch.setattr(gpu_nodes, "DEVICES", devices)
    monkeypatch.setattr(gpu_nodes, "PCI", pci)
    return devices


def names(machine: Path, slot: Slot, counted: bool = True) -> set[str]:
    return {str(path.relative_to(machine)) for path in nodes(slot, counted)}


@pytest.mark.parametrize("uuid", MINORS)
def test_a_slot_opens_its_own_gpu_and_no_other(machine: Path, uuid: str) -> None:
    own = {f"nvidia{MINORS[uuid]}", f"dri/renderD{128 + MINORS[uuid]}"}
    assert names(machine, Slot("cuda", 0, gpu=uuid)) == {*ALL, *own}


def test_a_part_of_a_gpu_has_the_files_of_the_whole(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = gpu.driver()
    assert nvml
    monkeypatch.setattr(nvml, "nvmlDeviceGetHandleByUUID", lambda uuid: {"MIG-1": "part of c"}[uuid])
    monkeypatch.setattr(nvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", {"part of c": "GPU-c"}.__getitem__)
    assert names(machine, Slot("cuda", 0, gpu="MIG-1")) == {*ALL, "nvidia2", "dri/renderD130"}


@pytest.mark.parametrize("why", ["no driver", "it does not know the GPU", "it has no such number", "no such file"])
def test_where_nobody_tells_which_is_whose_all_are_open(
    machine: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    nvml, uuid = gpu.driver(), "GPU-a"

    def silent(handle: str) -> int:
        raise Silent

    if why == "no driver":
        monkeypatch.setattr(gpu, "driver", lambda: None)
    elif why == "it does not know the GPU":
        uuid = "GPU-x"
    elif why == "it has no such number":
        monkeypatch.setattr(nvml, "nvmlDeviceGetMinorNumber", silent)
    else:
        monkeypatch.setattr(nvml, "nvmlDeviceGetMinorNumber", lambda handle: 7)
    found = names(machine, Slot("cuda", 0, gpu=uuid))
    assert found == {*ALL, "nvidia0", "nvidia1", "nvidia2", "kfd", "dri"}


def test_on_a_cpu_no_gpu_is_open_where_cpu_time_is_what_counts(machine: Path) -> None:
    assert names(machine, Slot("cpu", 0), counted=True) == set()
    assert names(machine, Slot("cpu", 0), counted=False) == {"kfd", "dri"}, "no slot stands for another maker's GPU"


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        (Slot("cpu", 0, gpu=""), []),
        (Slot("cuda", 0, gpu="GPU-a"), [*ALL[:3], "nvidia1", "nvidia-caps/nvidia-cap1", "dri/renderD129"]),
    ],
    ids=["cpu", "cuda"],
)
def test_a_program_that_tries_them_all_opens_its_own(machine: Path, tmp_path: Path, slot: Slot, expected) -> None:
    if why := sandbox._missing("landlock"):
        pytest.skip(why)
    tried = [*ALL[:3], "nvidia0", "nvidia1", "nvidia2", "nvidia-caps/nvidia-cap1", "kfd", "dri/renderD128"]
    tried += ["dri/renderD129", "dri"]
    box = sandbox.Sandbox((tmp_path,), (), tmp_path / "blanks", "landlock", devices=nodes(slot, counted=True))
    (tmp_path / "work").mkdir()
    command = box.command([sys.executable, "-S", "-c", OPENS], (tmp_path / "work",))
    done = subprocess.run([*command, *(str(machine / name) for name in tried)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)) == sorted(expected)


def test_bubblewrap_binds_the_same(machine: Path, tmp_path: Path) -> None:
    box = sandbox.Sandbox((), (), tmp_path, "bubblewrap", devices=nodes(Slot("cuda", 0, gpu="GPU-b"), counted=True))
    words = box.command(["true"], ())
    bound = [words[at + 1] for at, word in enumerate(words) if word == "--dev-bind-try"]
    assert {os.path.relpath(path, machine) for path in bound} == {*ALL, "nvidia0", "dri/renderD128"}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_sandbox_of_a_run_is_that_of_its_slot(rig, machine: Path, device: str) -> None:
    if why := sandbox.missing():
        pytest.skip(why)
    rig.slot, rig.sandboxed = Slot(device, 0, gpu={"cpu": "", "cuda": "GPU-c"}[device]), True
    run = rig.run("import os; print('---\\nval_bpb: 1\\nvisible:', '<' + os.environ['CUDA_VISIBLE_DEVICES'] + '>')")
    assert run.metrics and run.metrics.values["visible"] == {"cpu": "<>", "cuda": "<GPU-c>"}[device]
    words = " ".join(Spec.read(rig.guard_folder).steps[0].argv)
    opened = [number for number in range(3) if str(machine / f"nvidia{number}") in words]
    assert opened == {"cpu": [], "cuda": [2]}[device]
