"""A run's hard ends: time, CPU time, silence, output, children without number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil

from swarm.records import Failure
from swarm.workshop import tree


def test_the_wall_limit_ends_the_whole_tree(bench, stubborn):
    bench.limits = replace(bench.limits, wall=1.5)
    run = bench.run(stubborn)
    assert run.failure == Failure.TIMEOUT and run.reason == "it still ran after 2 s"
    assert len(bench.pids()) == 3 and not any(map(tree.birth, bench.pids()))
    assert run.seconds < 6 and "up" in run.log_tail


def test_the_cpu_limit_counts_the_whole_tree(bench):
    bench.limits = replace(bench.limits, cpu=1.0)
    run = bench.run("""
        import subprocess, sys
        for _ in range(2):
            subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
        import time; time.sleep(30)
        """)
    assert run.failure == Failure.TIMEOUT and run.reason == "it used more than 1 CPU-seconds"


def test_a_heart_that_stops_is_a_stall_and_no_crash(bench):
    bench.limits = replace(bench.limits, silence=0.5)
    run = bench.run("""
        import os, time
        open(os.environ["SWARM_RUN_DIR"] + "/heartbeat.jsonl", "w").write('{"step": 1}')
        time.sleep(20)
        """)
    assert run.failure == Failure.STALL and not run.failure.blames_the_idea and run.seconds < 5


def test_a_flood_of_output_is_capped_and_fast(bench):
    run = bench.run("""
        import os
        line = b"x" * 1023 + b"\\n"
        os.write(1, b"first\\n")
        for _ in range(200):
            data = line * 1024
            while data:
                data = data[os.write(1, data):]
        print("---\\nval_bpb: 1.5")
        """)
    assert run.metrics and run.metrics.value == 1.5
    assert Path(run.log).stat().st_size < 24 * 2**20 and run.seconds < 8
    with Path(run.log).open("rb") as log:
        assert log.readline() == b"first\n"


def test_a_family_that_never_stops_forking_is_ended(bench):
    bench.limits = replace(bench.limits, wall=1.5)
    run = bench.run("""
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                os.setsid()
                for _ in range(3):
                    os.fork()
                while True:  # a chain: each forks the next and goes
                    if os.fork():
                        os._exit(0)
                    time.sleep(0.05)
        time.sleep(30)
        """)
    assert run.failure == Failure.TIMEOUT and run.seconds < 10
    mark = f"{bench.folder}/runs".encode()
    assert not [pid for pid in psutil.pids() if mark in _environment(pid)]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
