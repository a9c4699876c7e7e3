"""A swarm whose head lives and whose board does not yet is starting: it is seen, and can be stopped and told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from swarm import cli
from swarm.ledger.head_lock import is_led, lead
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
    held = lead(tmp_path)
    assert held and is_led(tmp_path) and lead(tmp_path) is None
    held.close()
    assert not is_led(tmp_path)


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
    assert "is over (stopped)" in said and "--resume" in said
    assert cli.main(["stop", "-C", str(tmp_path)]) == 0
    assert "stopped already" in capsys.readouterr().out
