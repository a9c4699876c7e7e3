"""CPU time that hides: programs that use as much as they say, counted by a real guard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm.execution.guard.cpu_time import BY_GROUP, BY_TREE
from swarm.execution.machine import cpu_group
from swarm.execution.spec import Result, Spec, Step

BURN = """
import ctypes, os, signal, threading, time

def burn(seconds):
    while time.thread_time() < seconds:
        pass

def helper(seconds):
    if not os.fork():
        burn(seconds)
        os._exit(0)

def gone():
    # Waits for all helpers and theirs, which hold an end of a pipe each, without waiting for any as a parent.
    global ends
    os.close(ends[1])
    os.read(ends[0], 1)
    os.close(ends[0])
    ends = os.pipe()

ends = os.pipe()
"""
IGNORES = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
SUBREAPER = "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
NO_WAIT = """
class Action(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_byte * 128), ("flags", ctypes.c_int)]
    _fields_ += [("restorer", ctypes.c_void_p)]
ctypes.CDLL(None).sigaction(signal.SIGCHLD, ctypes.byref(Action(flags=2)), None)  # SA_NOCLDWAIT
"""
TWICE = """
for _ in range({number}):
    if not os.fork():
        helper({seconds})
        os._exit(0)
    gone()
"""
NO_MAIN = """
def helper(seconds):
    if not os.fork():
        threading.Thread(target=lambda: (burn(seconds), os._exit(0))).start()
        ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""
ONCE = "for _ in range({number}):\n    helper({seconds})\n    gone()\n"
WAITS = ONCE + "    os.wait()\n"
PROGRAMS = {  # with the number of their helpers, the seconds of each, and the share that is counted without a group
    "waits": (WAITS, 4, 0.4, 0.95),
    "ignores": (IGNORES + ONCE, 4, 0.6, 0.6),
    "ignores by its flag": (NO_WAIT + ONCE, 4, 0.6, 0.6),
    "ignores many": (IGNORES + ONCE, 40, 0.04, 0.0),
    "ignores, and their main threads end": (IGNORES + NO_MAIN + ONCE, 4, 0.6, 0.6),
    "forks twice": (TWICE, 4, 0.4, 0.6),
    "reaps orphans and ignores": (SUBREAPER + IGNORES + TWICE, 4, 0.6, 0.6),
    "threads": (
        "for _ in range({number}):\n    threading.Thread(target=burn, args=({seconds},)).start()\n",
        4,
        0.4,
        0.95,
    ),
}


def counted(folder: Path, program: str, group: bool) -> Result:
    (folder / "program.py").write_text(BURN + program)
    argv = [sys.executable, "-S", str(folder / "program.py")]
    step = Step("trainer", argv, str(folder), dict(os.environ), str(folder / "log"), wall=300, cpu=300, group=group)
    Spec("t.1", 1, [step], run_folder=str(folder), root=str(folder), grace=60).write(folder)
    guard = [sys.executable, "-S", "-P", "-m", "swarm.execution.guard.guard", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(cpu_group.__file__).parents[3])}
    with subprocess.Popen(guard, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and b"t.1" in process.stdout.readline()
    result = Result.read(folder)
    assert result and result.steps[0].exit == 0, (folder / "log").read_text()
    return result


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("group", [True, False])
def test_cpu_time_is_counted_whoever_waits_for_it(tmp_path: Path, name: str, group: bool) -> None:
    if group and not cpu_group.is_available():
        pytest.skip("no control group of our own can be made here")
    program, number, seconds, least = PROGRAMS[name]
    [step] = counted(tmp_path, program.format(number=number, seconds=seconds), group).steps
    share = 0.97 if group else least
    assert step.counted_by == (BY_GROUP if group else BY_TREE)
    assert share * number * seconds <= step.cpu_seconds <= 1.5 * number * seconds + 1
