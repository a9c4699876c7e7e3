"""A run's hard ends: time, CPU time, silence, output, children without number."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from swarm.execution.machine import process_table
from swarm.records import Failure


def test_the_wall_limit_ends_the_whole_tree(rig, stubborn):
    rig.limits = replace(rig.limits, wall=6.0)
    run = rig.run(stubborn)
    assert run.failure == Failure.TIMEOUT and run.reason.startswith("it still ran after 6 s, ")
    assert len(rig.pids()) == 3 and not any(map(process_table.birth, rig.pids()))
    assert run.seconds < 100 and "up" in run.log_tail


def test_the_cpu_limit_counts_the_whole_tree(rig):
    rig.limits = replace(rig.limits, cpu=1.0)
    run = rig.run("""
        import subprocess, sys
        for _ in range(2):
            subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
        import time; time.sleep(600)
        """)
    assert run.failure == Failure.TIMEOUT and run.reason.startswith("it used more than 1 CPU-seconds, ")


def test_a_heart_that_stops_is_a_stall_and_no_crash(rig):
    rig.limits = replace(rig.limits, silence=0.5)
    run = rig.run("""
        import os, time
        open(os.environ["SWARM_RUN_DIR"] + "/heartbeat.jsonl", "w").write('{"step": 1}')
        time.sleep(600)
        """)
    assert run.failure == Failure.STALL and not run.failure.blames_the_idea and run.seconds < 100


def test_a_flood_of_output_is_capped_and_fast(rig):
    run = rig.run("""
        import os
        line = b"x" * 1023 + b"\\n"
        os.write(1, b"first\\n")
        for _ in range(200):
            data = line * 1024
            while data:
                data = data[os.write(1, data):]
        print("---\\nval_bpb: 1.5")
        """)
    assert run.metrics and run.metrics.value == 1.5, run.reason
    assert Path(run.log).stat().st_size < 24 * 2**20 and run.seconds < 80
    with Path(run.log).open("rb") as log:
        assert log.readline() == b"first\n"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A pipe by name that a run opens for all that it forks: afterwards nobody may hold it any more."""
    pipe = tmp_path / "held"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    yield pipe
    assert os.read(end, 9) == b"here" and os.read(end, 1) == b""
    os.close(end)


@pytest.mark.parametrize("chains", [1, 6])
def test_a_family_that_never_stops_forking_is_ended(chains, held, rig):
    rig.limits = replace(rig.limits, wall=3.0)
    run = rig.run(f"""
        import os, time
        os.write(os.open("{held}", os.O_WRONLY), b"here")
        for _ in range({chains}):
            if os.fork() == 0:
                os.setsid()
                for _ in range(3):
                    os.fork()
                while True:  # a chain: each forks the next and goes
                    if os.fork():
                        os._exit(0)
                    time.sleep(0.05)
        time.sleep(600)
        """)
    assert run.failure == Failure.TIMEOUT and run.seconds < 100


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process that leaves its group is lost")
@pytest.mark.parametrize("chains", [1, 6])
def test_no_chain_of_processes_is_too_fast_to_be_ended(chains, held, rig):
    """Each forks the next, which takes a session of its own, and goes: before its line in a table can be read."""
    rig.limits = replace(rig.limits, wall=3.0)
    run = rig.run(f"""
        import os, signal, time
        os.write(os.open("{held}", os.O_WRONLY), b"here")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range({chains}):
            if os.fork() == 0:
                while True:
                    if os.fork():
                        os._exit(0)
                    os.setsid()
        time.sleep(600)
        """)
    assert run.failure == Failure.TIMEOUT and run.seconds < 100


def test_all_of_the_memory_is_not_to_be_had(rig):
    rig.limits = replace(rig.limits, memory=300.0)
    run = rig.run("ballast = bytearray(400 * 2**20)")
    assert run.failure == Failure.OOM and run.reason.startswith("MemoryError")
    rig.slot = replace(rig.slot, device="cuda")  # whose driver maps more than it takes: only the sum is watched
    run = rig.run("""
        import time
        ballast = []
        while True:
            ballast.append(b"x" * 20 * 2**20)
            time.sleep(0.05)
        """)
    assert run.failure == Failure.OOM and run.reason == "it took more than 300 MB of memory" and run.seconds < 100


def test_the_memory_of_the_whole_tree_counts_and_shared_files_do_not(rig, tmp_path):
    rig.limits = replace(rig.limits, memory=300.0)
    run = rig.run("""
        import subprocess, sys, time
        hold = "ballast = b'x' * 90 * 2**20; import time; time.sleep(600)"
        for _ in range(4):
            subprocess.Popen([sys.executable, "-S", "-c", hold])
        time.sleep(600)
        """)
    assert run.failure == Failure.OOM and "more than 300 MB" in run.reason
    tokens = tmp_path / "tokens"
    tokens.write_bytes(bytes(400 * 2**20))
    run = rig.run(f"""
        import mmap, time
        file = open({str(tokens)!r}, "rb")
        tokens = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        sum(tokens[place] for place in range(0, len(tokens), 4096))
        time.sleep(1.5)
        print("---\\nval_bpb: 1")
        """)
    assert run.metrics


def test_nobody_fills_the_disk(rig):
    rig.limits = replace(rig.limits, disk=30.0)
    run = rig.run("open('big', 'wb').write(bytes(40 * 2**20))")
    assert run.failure == Failure.CODE and "File too large" in run.reason
    run = rig.run("""
        import os, time
        for number in range(100):
            open(os.environ["SWARM_RUN_DIR"] + f"/part{number}", "wb").write(bytes(2**20))
            time.sleep(0.02)
        time.sleep(600)
        """)
    assert run.failure == Failure.CODE and run.reason == "it wrote more than 30 MB" and run.seconds < 100


def test_a_fork_bomb_is_ended_before_it_goes_off(rig):
    rig.limits = replace(rig.limits, processes=100)
    run = rig.run("""
        import os, time
        while True:
            os.fork()
            time.sleep(0.02)
        """)
    assert run.failure == Failure.CODE and run.reason == "it ran more than 100 processes" and run.seconds < 100
    mark = f"{rig.folder}/runs".encode()
    assert not [pid for pid in psutil.pids() if mark in _environment(pid)]


@pytest.mark.parametrize(
    "flood, reason",
    [
        ("os.urandom(1000)", "ValueError: no"),
        ("b'\\r' + b'step 00001 loss 5' * 60", "ValueError: no"),
        ("b'\\x1b]0;' + b'x' * 1000", "ValueError: no"),
        ("b'no line ever ends '", "ValueError: no"),
    ],
)
def test_whatever_is_printed_the_reason_is_found(rig, flood, reason):
    """30 MB of it, then an exception."""
    run = rig.run(f"""
        import os
        piece = {flood}
        data = piece * (2**20 // len(piece))
        for _ in range(30):
            rest = data
            while rest:
                rest = rest[os.write(1, rest):]
        raise ValueError("no")
        """)
    assert run.failure == Failure.CODE and run.reason.endswith(reason), run.reason
    assert len(run.log_tail) < 100_000 and Path(run.log).stat().st_size < 24 * 2**20
    assert all(char.isprintable() or char in "\n\t" for char in run.log_tail)


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
