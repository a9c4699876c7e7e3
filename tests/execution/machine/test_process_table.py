"""Process trees, as /proc and as ps tell them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.machine import process_table
from swarm.execution.machine.held_files import held_files, memory_devices


@pytest.fixture
def family():
    """A shell with two children, in a group of its own."""
    shell = subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600 & wait"], start_new_session=True)
    deadline = time.monotonic() + 100
    while len(process_table.descendants(process_table.table(), shell.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    yield shell
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()


@pytest.mark.parametrize("look", [process_table.table, process_table._table_of_ps])
def test_both_tables_know_the_family(family, look):
    processes = look()
    found = process_table.descendants(processes, os.getpid())
    below = process_table.descendants(processes, family.pid)
    assert family.pid in found and len(below) == 2 and set(below) < set(found)
    assert all(process.group == family.pid and process.parent == family.pid for process in below.values())
    assert processes[os.getpid()].rss_mb > 5 and processes[os.getpid()].cpu_seconds >= 0


def test_a_signal_reaches_everybody_and_spares_the_sender(family):
    below = process_table.descendants(process_table.table(), family.pid)
    process_table.send([*below.values(), process_table.table()[family.pid]], signal.SIGKILL)
    family.wait()
    deadline = time.monotonic() + 100
    while any(map(process_table.birth, below)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(process_table.birth, below))


def test_birth_tells_one_process_from_another(family):
    born = process_table.birth(family.pid)
    assert born and born == process_table.birth(family.pid)
    family.kill()
    deadline = time.monotonic() + 100
    while process_table.birth(family.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process_table.birth(family.pid) is None  # though nobody waited for it yet


@pytest.mark.skipif(sys.platform != "linux", reason="macOS hides the environment of processes")
def test_marks_are_whole_entries():
    env = {**os.environ, "MARK": "/some/folder.1"}
    process = subprocess.Popen(["sleep", "600"], env=env)
    try:
        assert process.pid in process_table.with_variable("MARK=/some/folder.1")
        assert process.pid not in process_table.with_variable("MARK=/some/folder")
    finally:
        process.kill()
        process.wait()


def test_times_of_ps():
    assert process_table._seconds("01:02:03") == 3723
    assert process_table._seconds("2-00:00:01") == 172801
    assert process_table._seconds("12:34.56") == pytest.approx(754.56)


def test_an_entry_is_found_whole_and_a_name_with_any_value():
    environment = b"\0PATH=/bin\0SWARM_HEAD=12.ab\0SWARM_GUARD=/a folder\0"
    assert process_table.holds(environment, "SWARM_HEAD=12.ab") and process_table.holds(environment, "SWARM_GUARD=")
    for other in ("SWARM_HEAD=12.a", "HEAD=12.ab", "SWARM_HEAD=12.ab\0SWARM", "GUARD="):
        assert not process_table.holds(environment, other)
    assert not process_table.holds(b"", "SWARM_HEAD=12.ab")


@given(st.binary())
def test_whatever_ps_prints_is_read(listed):
    process_table._environments_of_ps(listed)


def test_what_ps_prints_of_environments_is_read_as_well():
    listed = b"  501 /usr/bin/python3 -m x PATH=/bin SWARM_HEAD=12.ab\n7 launchd\n\n"
    found = process_table._environments_of_ps(listed)
    assert set(found) == {501, 7} and process_table.holds(found[501], "SWARM_HEAD=12.ab")
    assert not process_table.holds(found[501], "SWARM_HEAD=12.a") and not process_table.holds(found[7], "SWARM_HEAD=")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process has a main thread for as long as it lives")
def test_a_process_whose_main_thread_has_ended_is_seen_whole(without_main, tmp_path):
    program = f"""{without_main}
import time
def stay():
    file = open({str(tmp_path / "file")!r}, "wb")
    file.write(bytes(20 * 2**20))
    file.flush()
    os.remove(file.name)
    ballast = bytearray(60 * 2**20)
    while time.thread_time() < 0.3:
        pass
    print("up", flush=True)
    time.sleep(600)
without_main(stay)
"""
    environment = {**os.environ, "MARK": "without main"}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout and process.stdout.readline() == b"up\n"
        state = process_table._stat(process.pid)
        assert state and state[0] == "Z", "the test shows nothing here"
        for processes in (process_table.table(), process_table.below(os.getpid())):
            seen = processes[process.pid]
            assert seen.parent == os.getpid() and seen.rss_mb > 60 and seen.own_seconds >= 0.25
        assert process_table.birth(process.pid) == seen.birth
        assert process_table.private_mb(process.pid) > 60
        assert process_table.with_variable("MARK=without main") == {process.pid}
        held = held_files([process.pid], memory_devices())
        assert held.whole and sum(file.mb for file in held.on_disk.values()) > 19
        process_table.send([seen], signal.SIGKILL)
        process.wait(100)
        assert process_table.birth(process.pid) is None
    finally:
        process.kill()
        process.wait()
