"""What a program under the filter can do: real programs that try."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.execution.sandbox import call_filter
from swarm.execution.sandbox.call_filter import PROCESSES, THREADS

pytestmark = pytest.mark.skipif(not call_filter.works(), reason="no such filters here")

ON_DISK = ("written", "reserved", "asked")
TRIES = """
import ctypes, errno, fcntl, json, os, struct, subprocess, sys, tempfile, termios, threading
libc = ctypes.CDLL(None, use_errno=True)

def call(*arguments):
    result = libc.syscall(*arguments)
    if result == 0 and arguments[0] in STARTS:
        os._exit(0)
    if result > 0:
        os.waitpid(result, 0)
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]

def refusal(*arguments):
    return ctypes.get_errno() if libc.syscall(*arguments) < 0 else "ok"

def python(start):
    try:
        start()
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]

def fork():
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)

machine = os.uname().machine
clone, set_affinity = (56, 203) if machine == "x86_64" else (220, 122)
STARTS = {57, 58, clone}
seen = {
    "fork": python(fork),
    "spawn": python(lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)),
    "program": python(lambda: subprocess.run(["true"])),
    "shell": libc.system(b"true") and "EPERM" or "ok",
    "clone": call(clone, 17, 0, 0, 0, 0),
    "clone3": call(435, ctypes.create_string_buffer(88), 88),
}
if machine == "x86_64":
    seen["fork call"] = call(57)
    seen["x32"] = call(0x40000000 + 57)
started = []
thread = threading.Thread(target=started.append, args=(1,))
thread.start()
thread.join()
seen["thread"] = started
before = os.sched_getaffinity(0)
os.sched_setaffinity(0, {max(range(os.cpu_count()), key=lambda core: core not in before)})
seen["moved"] = os.sched_getaffinity(0) != before
libc.sched_setaffinity(0, 128, b"\\xff" * 128)
seen["widened"] = os.sched_getaffinity(0) != before
with tempfile.TemporaryFile(dir=sys.argv[1]) as file:
    os.posix_fallocate(file.fileno(), 0, 2**20)
    seen["written"] = os.fstat(file.fileno()).st_size
    fallocate, ioctl = (285, 16) if machine == "x86_64" else (47, 29)
    space = struct.pack("hhqqiI16x", 0, 0, 0, 2**20, 0, 0)  # struct space_resv
    seen["reserved"] = [refusal(fallocate, file.fileno(), 0, 0, 2**20)]
    seen["reserved"] += [refusal(ioctl, file.fileno(), what, space) for what in (0x40305828, 0x4030582A, 0x40305839)]
    seen["reserved"] += [refusal(ioctl, file.fileno(), 0x401C5820, bytes(28))]
    seen["asked"] = fcntl.ioctl(file.fileno(), termios.FIONREAD, bytes(4)) and "ok"
print(json.dumps(seen))
"""


def seen(may_start: str, folder: Path) -> dict[str, object]:
    core = min(os.sched_getaffinity(0))
    command = call_filter.command([sys.executable, "-c", TRIES, str(folder)], may_start)
    ran = subprocess.run(command, capture_output=True, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_program_may_start_threads_and_no_process(tmp_path: Path) -> None:
    found = {name: value for name, value in seen(THREADS, tmp_path).items() if name not in ON_DISK}
    assert found.pop("thread") == [1] and found.pop("clone3") == "ENOSYS"
    assert (found.pop("moved"), found.pop("widened")) == (False, False)
    assert set(found.values()) == {"EPERM"}, found


@pytest.mark.parametrize("may_start", [THREADS, PROCESSES])
def test_space_on_a_disk_is_written_and_never_reserved(tmp_path: Path, may_start: str) -> None:
    found = seen(may_start, tmp_path)
    assert {name: found[name] for name in ON_DISK} == {"written": 2**20, "reserved": [95] * 5, "asked": "ok"}


def test_a_program_may_start_processes_on_the_same_cores(tmp_path: Path) -> None:
    found = seen(PROCESSES, tmp_path)
    assert found["clone3"] == "ENOSYS", "it could start one in another control group"
    assert [found[name] for name in ("fork", "spawn", "program", "shell", "clone")] == ["ok"] * 5
    assert (found["thread"], found["moved"], found["widened"]) == ([1], False, False)


def test_what_cannot_be_started_says_so() -> None:
    ran = subprocess.run(call_filter.command(["/no/such"], THREADS), capture_output=True, text=True)
    assert ran.returncode == 1 and ran.stderr.startswith("/no/such cannot be started: ")
