"""A swarm whose head lives and whose board does not yet is starting: it is seen, and can be stopped and told."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from swarm import cli
from swarm.cli import steer
from swarm.ledger.head_lock import is_led, lead, leader
from swarm.ledger.home import open_ledger
from swarm.snapshot.read import read_snapshot
from tests.board.nights import Night


def status(root: Path, tag: str) -> str:
    ledger = open_ledger(root)
    try:
        return read_snapshot(root, ledger, tag).status
    finally:
        ledger.close()


def test_one_head_leads_until_it_ends(tmp_path: Path) -> None:
    assert not is_led(tmp_path) and not list(tmp_path.iterdir())
    assert leader(tmp_path) == ""
    held = lead(tmp_path)
    assert held and is_led(tmp_path) and lead(tmp_path) is None
    assert leader(tmp_path) == f"process {os.getpid()} on {platform.node()}"
    held.close()
    assert not is_led(tmp_path)


def test_who_waits_for_a_head_that_hangs_is_told_which_process_it_is(
    night: Night, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    night.ledger.close()
    folder = tmp_path / ".swarm" / night.tag
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(steer, "UNANSWERED", 0.1)
    hangs = f"""import time, pathlib
from swarm.ledger.head_lock import lead
held = lead(pathlib.Path({str(folder)!r}))
print(1, flush=True)
time.sleep(9999)
"""
    with subprocess.Popen([sys.executable, "-c", hangs], stdout=subprocess.PIPE) as head:
        assert head.stdout and head.stdout.readline()
        stopping = threading.Thread(target=cli.main, args=(["stop", "--now", "-C", str(tmp_path)],))
        stopping.start()
        said = ""
        while "kill -9" not in said:
            assert stopping.is_alive()
            said += capfd.readouterr().err
            time.sleep(0.05)
        assert f"process {head.pid} on" in said and "resume` goes on" in said
        head.kill()
        stopping.join()
    assert "has ended (interrupted)" in capfd.readouterr().out


def test_a_swarm_that_starts_is_starting_and_can_be_stopped(
    night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    night.ledger.close()  # Ray is being started: nobody writes
    folder = tmp_path / ".swarm" / night.tag
    folder.mkdir(parents=True, exist_ok=True)
    assert status(tmp_path, night.tag) == "interrupted"
    held = lead(folder)
    assert held and status(tmp_path, night.tag) == "starting"

    def swarm(*words: str) -> tuple[int, str]:
        return cli.main([words[0], "-C", str(tmp_path), *words[1:]]), "".join(capsys.readouterr())

    assert swarm("stop", "--no-wait") == (0, "apr5: draining; `python -m swarm stop --now` ends it at once\n")
    assert (folder / "stop").read_text() == "drain"
    code, said = swarm("stop", "--no-wait")
    assert code == 0 and "already draining" in said
    assert swarm("tell", "try less")[0] == 0 and list(folder.glob("tell-*.txt"))
    held.close()
    assert status(tmp_path, night.tag) == "interrupted"


def test_a_swarm_that_is_over_is_not_told_anything_and_stops_only_once(
    night: Night, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    night.board.end("stopped", "drained")
    night.ledger.close()
    assert cli.main(["tell", "-C", str(tmp_path), "try less"]) == 2
    said = capsys.readouterr().err
    assert "is over (stopped)" in said and "swarm resume --tag" in said
    assert cli.main(["stop", "-C", str(tmp_path)]) == 0
    assert "stopped already" in capsys.readouterr().out
