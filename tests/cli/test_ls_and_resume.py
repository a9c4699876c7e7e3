"""All swarms of a folder, and the newest of them named by nobody."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from swarm import cli
from swarm.cli.options import find
from swarm.ledger.home import ledger_path, open_ledger
from swarm.snapshot.read import read_snapshot
from tests.board.nights import Night


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    night = Night(ledger_path(tmp_path), agents=1)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    night.ledger.execute("UPDATE swarms SET ended = 2000000.0, status = 'finished', metric = 'loss'")
    night.ledger.execute("UPDATE swarms SET budget = 0.5")
    night.ledger.close()
    later = Night(ledger_path(tmp_path), agents=1, tag="apr6")
    later.ledger.execute("UPDATE swarms SET started = started + 10 WHERE tag = 'apr6'")
    later.ledger.close()
    return tmp_path


def test_ls_names_every_swarm_with_its_own_metric(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ls", "-C", str(root), "--json"]) == 0
    newer, older = json.loads(capsys.readouterr().out)
    assert (newer["tag"], newer["status"], newer["metric"]) == ("apr6", "interrupted", "val_bpb"), "nobody leads it"
    assert (older["tag"], older["status"], older["metric"], older["kept"]) == ("apr5", "finished", "loss", 1)
    assert (older["keep"], older["experiments"]) == (1, 1)
    assert older["best"] == pytest.approx(0.99) and newer["best"] is None
    assert cli.main(["ls", "-C", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("swarm") and lines[1].startswith("apr6") and lines[2].startswith("apr5")
    assert "0.9900" in lines[2]


def test_a_state_has_the_number_that_it_has_everywhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    night = Night(ledger_path(tmp_path), agents=1)
    night.baselines()
    night.keep("gpu0", 0, 0.99)
    tip = night.ledger.value("SELECT source FROM trunk ORDER BY position DESC LIMIT 1")
    for source, shift in ((tip, 0.003), (night.base.sha, -0.004)):
        for row in night.runs(f"source = '{source}' AND state = 'measured'")[:1] * 2:
            copied = {
                **row,
                "id": f"{row['id']}-{len(night.runs())}",
                "purpose": "closing",
                "value": row["value"] + shift,
            }
            night.ledger.insert("runs", **copied)
    night.ledger.close()
    for verb in ("ls", "status"):
        assert cli.main([verb, "-C", str(tmp_path), "--json"]) == 0
    told = capsys.readouterr().out.split("\n]\n")
    [short], status = json.loads(f"{told[0]}]"), json.loads(told[1])
    assert (short["baseline"], short["best"]) == (pytest.approx(status["baseline"]), pytest.approx(status["best"]))
    assert (short["keep"], short["kept"]) == (status["keep"], status["kept"]) == (1, 1)


def test_resume_goes_on_with_the_newest(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    parser = cli.parser()
    monkeypatch.setattr("swarm.cli.launch.launch", lambda options: asked.append(options) or 0)
    for words in (["--hours", "2"], ["--tag", "apr5"]):
        options = parser.parse_args(["resume", "-C", str(root), *words])
        assert options.verb(options) == 0
    assert [(options.tag, options.resume) for options in asked] == [("apr6", True), ("apr5", True)]
    assert "going on with apr6" in capsys.readouterr().err and asked[0].hours == "2"


def test_resume_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".git").mkdir()
    assert cli.main(["resume", "-C", str(tmp_path)]) == 2
    assert "no swarm has run" in capsys.readouterr().err


def test_show_baseline(root: Path) -> None:
    with contextlib.closing(open_ledger(root)) as ledger:
        assert find(read_snapshot(root, ledger, "apr5"), "baseline").baseline
