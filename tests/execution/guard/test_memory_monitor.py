"""Memory counts wherever a run takes it: its own, mapped or not, with a name or without."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from swarm.execution.guard import memory_monitor
from swarm.execution.guard.memory_monitor import SHARED, MemoryMonitor
from swarm.execution.machine import process_table
from swarm.execution.slot import Slot
from swarm.execution.spec import EndedBy, Step
from swarm.records import Failure

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="shared memory as Linux has it")

STAYS = "\nimport time; time.sleep(600)\n"
FORMS = {
    "a file in /dev/shm": """
        import os
        file = open(f"/dev/shm/swarm-test-{os.getpid()}", "wb")
        for _ in range(80):
            file.write(bytes(2**20))
        file.flush()
        """,
    "a file without a name": """
        import os
        file = open(f"/dev/shm/swarm-test-{os.getpid()}", "wb")
        os.remove(file.name)
        for _ in range(80):
            file.write(bytes(2**20))
        file.flush()
        """,
    "memory without a name": """
        import os
        number = os.memfd_create("ballast")
        for _ in range(80):
            os.write(number, bytes(2**20))
        """,
    "memory without a name, which one thread alone has open": """
        import ctypes, os, threading, time
        def act():
            assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES
            number = os.memfd_create("ballast")
            for _ in range(80):
                os.write(number, bytes(2**20))
            time.sleep(600)
        threading.Thread(target=act).start()
        """,
    "on its way through a socket": """
        import os, socket
        number, ends = os.memfd_create("ballast"), socket.socketpair()
        for _ in range(160):
            os.write(number, bytes(2**20))
        socket.send_fds(ends[0], [b"."], [number])
        os.close(number)
        """,
    "only mapped": """
        import mmap
        ballast = mmap.mmap(-1, 160 * 2**20)
        for place in range(0, len(ballast), 4096):
            ballast[place] = 1
        """,
    "mapped once, by many": """
        import mmap, os, time
        ballast = mmap.mmap(-1, 160 * 2**20)
        for place in range(0, len(ballast), 4096):
            ballast[place] = 1
        for _ in range(3):
            if os.fork() == 0:
                sum(ballast[place] for place in range(0, len(ballast), 4096))
                time.sleep(600)
        """,
}


def test_memory_of_a_process_whose_main_thread_has_ended_counts(rig, without_main):
    rig.limits = replace(rig.limits, memory=70.0, wall=600.0)
    rig.slot = replace(rig.slot, device="cuda")  # where no process has a limit of its own
    run = rig.run(
        without_main + "import time\nwithout_main(lambda: (bytearray(b'x') * (160 * 2**20), time.sleep(600)))"
    )
    assert run.failure == Failure.OOM and run.reason == "it took more than 70 MB of memory"


@pytest.mark.parametrize("form", FORMS)
def test_shared_memory_counts_and_goes_with_the_run(rig, form):
    rig.limits = replace(rig.limits, memory=70.0 if "mapped" not in form else 140.0, wall=600.0)
    rig.slot = replace(rig.slot, device="cuda")  # where no process has a limit of its own
    before = set(SHARED.iterdir())
    run = rig.run(_plain(FORMS[form]) + STAYS)
    assert run.failure == Failure.OOM and run.reason.endswith("MB of memory"), run.reason
    assert not {path for path in set(SHARED.iterdir()) - before if path.name.startswith("swarm-test-")}


def test_shared_memory_counts_once_however_many_map_it(rig):
    rig.limits = replace(rig.limits, memory=300.0)
    rig.slot = replace(rig.slot, device="cuda")
    ends = "\ntime.sleep(3)\nprint('---\\nval_bpb: 1')\n"
    run = rig.run(_plain(FORMS["mapped once, by many"]) + ends)
    assert run.metrics, run.reason


def test_what_was_there_before_is_not_the_runs_and_stays(rig, tmp_path):
    file = SHARED / f"swarm-test-before-{os.getpid()}"
    file.write_bytes(bytes(90 * 2**20))
    try:
        rig.limits = replace(rig.limits, memory=70.0)
        rig.slot = replace(rig.slot, device="cuda")
        run = rig.run(f"""
            import time
            file = open({str(file)!r}, "rb+")
            time.sleep(1.5)
            print("---\\nval_bpb: 1")
            """)
        assert run.metrics and file.exists(), run.reason
    finally:
        file.unlink()


@pytest.mark.parametrize(
    "free, used, expected",
    [
        ([9000.0, 5000.0], 100.0, None),
        ([9000.0, 10.0], 5000.0, EndedBy.MEMORY),
        ([9000.0, 10.0], 100.0, None),  # others took it: the kernel chooses
        ([100.0, 10.0], 90.0, None),  # there was none when it began
    ],
)
def test_who_takes_the_machines_last_memory_is_ended(monkeypatch, free, used, expected):
    monkeypatch.setattr(memory_monitor, "free_mb", lambda: free.pop(0))
    monkeypatch.setattr(memory_monitor, "total_mb", lambda: 16_000.0)
    monkeypatch.setattr(memory_monitor, "private_mb", lambda pid: used)
    watched = MemoryMonitor(Step("trainer", [], "", {}, "", 1.0))
    own = process_table.table()[os.getpid()]
    assert watched.exceeded({own.pid: own}) == expected and watched.used_mb >= used


# The peak that guards are about.

TAKES = """
import os, time
ballast = b"x" * 300 * 2**20
time.sleep(1.5)
print("---\\nval_bpb: 1\\npeak_vram_mb: 1.0\\nmemory_gb: 0.001\\nrss_mb: 2")
"""


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="peaks of memory are read from the kernel")
def test_a_guard_on_memory_is_measured_from_outside(rig):
    rig.slot = Slot("cpu", 0)
    rig.project = replace(rig.project, guards={"memory_gb": "<= 0.1", "num_steps": ">= 1"})
    run = rig.run(TAKES)
    assert run.metrics and run.metrics.measured == ("memory_gb",)
    seen = run.metrics.values["memory_gb"]
    assert isinstance(seen, float) and 0.29 < seen < 1 and run.metrics.peak_vram_mb and run.metrics.peak_vram_mb > 300
    assert run.metrics.values["rss_mb"] == 2, "what no guard is about stays as it was printed"


def test_where_nothing_measures_it_the_printed_number_counts(rig):
    rig.slot = Slot("cuda", 0, lock="GPU-1")  # of which there is none here
    rig.project = replace(rig.project, guards={"memory_gb": "<= 0.1"})
    run = rig.run(TAKES)
    assert run.metrics and run.metrics.measured == () and run.metrics.values["memory_gb"] == 0.001
    assert run.metrics.peak_vram_mb == 1.0


def _plain(program: str) -> str:
    lines = program.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[margin:] for line in lines)
