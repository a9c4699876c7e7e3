"""A drill of a few faults, and the faults themselves: each really does what it says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swarm import cli
from swarm.lab.chaos import faults
from swarm.lab.chaos.target import WITHIN


def inside(orders: Path, program: str) -> subprocess.Popen[str]:
    """A Python process like those of the swarm under test."""
    environment = {**os.environ, "SWARM_CHAOS": str(orders), "PYTHONPATH": str(WITHIN)}
    return subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)


def test_the_clock_inside_is_as_wrong_as_ordered(tmp_path):
    (tmp_path / "clock").write_text("-86400")
    printed = inside(tmp_path, "import time; print(time.time())").communicate()[0]
    assert time.time() - float(printed) == pytest.approx(86400, abs=30)


def test_who_commits_dies_once_after_the_commit(tmp_path):
    (tmp_path / "forget").touch()
    reads = inside(tmp_path, "import sqlite3; db = sqlite3.connect(':memory:', isolation_level=None);"
                   "db.execute('BEGIN'); db.execute('COMMIT'); print('read')")  # fmt: skip
    assert reads.communicate()[0] == "read\n"
    program = f"""
import sqlite3
db = sqlite3.connect({str(tmp_path / "ledger")!r}, isolation_level=None)
for sql in ("CREATE TABLE IF NOT EXISTS t (x)", "BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"):
    db.execute(sql)
print("answered")
"""
    first, second = inside(tmp_path, program), None
    assert first.communicate()[0] == "" and first.returncode == -signal.SIGKILL
    second = inside(tmp_path, program)
    assert second.communicate()[0] == "answered\n"
    check = inside(tmp_path, f"import sqlite3; print(*sqlite3.connect({str(tmp_path / 'ledger')!r}).execute("
                   "'SELECT count(*) FROM t').fetchone())")  # fmt: skip
    assert check.communicate()[0] == "2\n"


@pytest.mark.skipif(sys.platform != "linux", reason="pidfd")
def test_a_connection_is_cut_under_the_hands_of_its_process():
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = f"""
import socket
connection = socket.create_connection(("127.0.0.1", {server.getsockname()[1]}))
print(connection.fileno(), flush=True)
print("cut" if connection.recv(1) == b"" else "data")
"""
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            other, _ = server.accept()
            assert process.stdout
            number, handle = int(process.stdout.readline()), os.pidfd_open(process.pid)
            assert faults._shut_down(handle, number)
            os.close(handle)
            assert process.stdout.readline() == "cut\n" and other.recv(1) == b""
            other.close()


def test_bad_numbers_are_refused(capsys):
    assert cli.main(["chaos", "--faults", "0"]) == 2
    assert "--faults" in capsys.readouterr().err


@pytest.mark.slow
def test_a_drill_loses_nothing(capsys):
    assert cli.main(["chaos", "--faults", "12", "--seed", "3", "--json"]) == 0, capsys.readouterr().err
    result = json.loads(capsys.readouterr().out)
    assert result["faults"] == result["survived"] == 12 and result["experiments"] > 2
    zero = ("lost", "counted_twice", "stuck_claims", "duplicates_run", "refs_wrong", "processes_left", "orphans")
    assert not any(result[name] for name in zero)
