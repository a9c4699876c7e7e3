"""`swarm import` on the files that people really have: what it takes, what it refuses in one line, what it leaves."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

import pytest

from swarm import cli
from swarm.execution.machine.removal import ASIDE
from swarm.history.repository import History
from swarm.history.results_writer import write_results
from swarm.lab.simulation.project import make_project
from swarm.ledger.database import Ledger
from swarm.ledger.home import ledger_path
from swarm.ledger.swarms import found
from swarm.novelty.code import fingerprint
from swarm.records import Source
from tests.execution.trees import TREES
from tests.verbs import called

LINES = """{"type":"config","name":"faster","metricName":"total_ms","metricUnit":"ms","bestDirection":"lower"}
{"run":1,"commit":"c09e722","metric":38.5,"metrics":{"parse_ms":27},"status":"keep","description":"Baseline"}
{"type":"hook","stage":"before","exit_code":0}
{"run":2,"commit":"c09e722","metric":40.5,"metrics":{"parse_ms":29},"status":"discard","description":"intern names"}
{"run":3,"commit":"c09e722","metric":0,"metrics":{},"status":"checks_failed","description":"skip a check"}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print('acc: 1')\n")
    (tmp_path / "swarm.toml").write_text(
        'command = ["{python}", "train.py"]\neditable = ["train.py"]\nmetric = "acc"\ndirection = "higher"\n'
    )
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "base"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *command], cwd=tmp_path, check=True)
    return tmp_path


def imported(root: Path, content: str | bytes, *more: str, name: str = "results.tsv") -> int:
    file = root / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return cli.main(["import", "-C", str(root), str(file), *more])


def rows(root: Path) -> list[tuple[str, str, float | None]]:
    ledger = Ledger(ledger_path(root))
    return [
        (row["title"], row["status"], row["gain"]) for row in ledger.rows("SELECT * FROM experiments ORDER BY sequence")
    ]


TABLE = "commit\tacc\tmemory_gb\tstatus\tdescription\na1\t0.5\t1\tkeep\tbaseline\nb2\t0.6\t1\tkeep\twider, and deeper\n"


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        TABLE.encode("utf-16"),
        "\ufeff" + TABLE.replace("\n", "\r\n"),
        TABLE.replace("\t", "\\t"),
        TABLE.replace("\t", "    "),
        TABLE.replace("\t", " ").replace("wider,", "wider,"),
        TABLE.replace("keep\tbaseline", "best-a5\tbaseline").replace("keep\twider", "keep-but-confounded\twider"),
        TABLE.replace("acc", "Acc").replace("\t1\t", "\t1.0\t"),
    ],
    ids=("tabs", "utf-16", "windows", "literal tabs", "runs of blanks", "single blanks", "decorated", "other case"),
)  # fmt: skip
def test_a_table_is_read_however_it_is_written(root, content, capsys):
    assert imported(root, content) == 0
    assert [(title, status, gain and round(gain, 6)) for title, status, gain in rows(root)] == [
        ("baseline", "keep", None), ("wider, and deeper", "keep", 0.1),
    ]  # fmt: skip
    assert "2 imported, 0 known already, 0 set aside" in capsys.readouterr().out
    assert imported(root, content) == 0 and len(rows(root)) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TABLE.replace("acc", "score"), "has no acc; it has score: `--metric score` reads that one"),
        (LINES, "has no acc; it has total_ms, parse_ms: `--metric total_ms` reads that one"),
        ("", "holds no row that could be read"),
        ("commit\tacc\tstatus\tdescription\n", "holds no row that could be read"),
        ("nothing here\n", "holds no row that could be read (line 1: "),
        ("acc\tstatus\tidea\n0.5\tok\tx\n", "status 'ok' says that it ran, and nothing says whether it was better"),
        ("acc\tstatus\tidea\n0.5\tdone\tx\n", "status 'done' says that it ran"),
        (b"\x00\xff" * 50, "holds no row"),
    ],
)  # fmt: skip
def test_a_file_without_a_row_is_refused_and_nothing_is_changed(root, content, said, capsys):
    assert imported(root, content) == 2
    told = capsys.readouterr().err
    assert said in told and "nothing was imported" in told and told.count("\n") == 1
    assert not (root / ".swarm").exists()


def test_another_metric_is_read_where_it_is_asked_for(root, capsys):
    assert imported(root, LINES, "--metric", "total_ms", "--json", name="autoresearch.jsonl") == 0
    assert [(line["imported"], line["aside"]) for line in json.loads(capsys.readouterr().out)] == [(3, [])]
    assert rows(root) == [
        ("Baseline", "keep", None),
        ("intern names", "discard", -2.0),
        ("skip a check", "crash", None),
    ]
    assert imported(root, LINES, "--metric", "parse_ms", name="again.jsonl") == 0, "a secondary one, too"


def test_a_segment_that_measured_something_else_stays_aside(root, capsys):
    other = '{"type":"config","metricName":"acc","bestDirection":"higher"}\n'
    lines = LINES + other + '{"commit":"d","metric":0.9,"status":"keep","description":"now for quality"}\n'
    assert imported(root, lines, name="autoresearch.jsonl") == 0
    assert rows(root) == [("now for quality", "keep", None)]
    assert "line 4: it measures total_ms, not acc" in capsys.readouterr().out


def test_our_own_results_are_recognised_and_carry_the_metric_of_the_project(root, capsys):
    history, ledger = History(root), Ledger(ledger_path(root), write=True) if ledger_path(root).exists() else None
    ledger_path(root).parent.mkdir(exist_ok=True)
    ledger = ledger or Ledger(ledger_path(root), write=True)
    source = Source({"train.py": b"x = 1\n"})
    swarm = {"base_commit": history.head(), "from_tag": None, "key": "k", "device": "sim", "metric": "acc"}
    swarm |= {"direction": "higher", "policy": "race", "researcher": "sweep", "budget": 1.0, "settings": "{}"}
    found(ledger, source, {"gpu0": ("sim", "x")}, fingerprint(source), 1.0, tag="apr5", **swarm)
    ledger.execute(
        "UPDATE experiments SET state = 'judged', status = 'crash', judged = 2, commit_sha = ?", history.head()
    )
    write_results(ledger, "apr5", root / ".swarm" / "apr5")
    ledger.close()
    own = root / ".swarm/apr5/gpu0/results.tsv"
    assert own.read_text().startswith(
        "commit\tacc\tmemory_gb\tstatus\tdescription\n" + history.head()[:7] + "\t0.000000\t0.0\t"
    )
    assert cli.main(["import", "-C", str(root), str(own)]) == 2, "this repository's own results are known"
    capsys.readouterr()
    own = own.rename(root.parent / "results.tsv")  # those of another repository
    assert cli.main(["import", "-C", str(root), str(own)]) == 0
    assert "0 imported, 1 known already" in capsys.readouterr().out and len(rows(root)) == 1


@pytest.mark.parametrize("tree", TREES)
def test_prune_removes_whatever_runs_left_and_what_was_set_aside(root: Path, capsys, tree: str) -> None:
    ledger_path(root).parent.mkdir(exist_ok=True)
    source = Source({"train.py": b"x = 1\n"})
    swarm = {"base_commit": History(root).head(), "from_tag": None, "key": "k", "device": "sim", "metric": "acc"}
    swarm |= {"direction": "higher", "policy": "race", "researcher": "sweep", "budget": 1.0, "settings": "{}"}
    with contextlib.closing(Ledger(ledger_path(root), write=True)) as ledger:
        found(ledger, source, {"gpu0": ("sim", "x")}, fingerprint(source), 1.0, tag="apr5", **swarm)
        ledger.execute("UPDATE swarms SET status = 'finished', ended = 2")
    left = root / ".swarm" / "apr5" / "gpu0" / f"{ASIDE}run-1"
    left.mkdir(parents=True)
    TREES[tree](left)
    assert cli.main(["prune", "-C", str(root), "apr5"]) == 2 and left.exists()
    assert cli.main(["prune", "-C", str(root), "apr5", "--yes"]) == 0
    assert not (root / ".swarm" / "apr5").exists() and "the ledger keeps its results" in capsys.readouterr().out


def test_prior_art_is_imported_whole_or_not_at_all(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    good, bad = tmp_path / "notes.jsonl", tmp_path / "bad.jsonl"
    good.write_text('{"what": "halve the batch", "source": "us", "gain": 0.01}\n{"what": "no source"}\n')
    bad.write_text("[]\n")
    refused = called("import", "-C", str(root), "--prior", str(good), str(bad))
    assert refused.returncode == 2 and "bad.jsonl holds no record of prior art" in refused.stderr
    assert "nothing was imported" in refused.stderr and not (root / ".swarm").exists()
    done = called("import", "-C", str(root), "--prior", str(good))
    assert done.returncode == 0 and "1 records of prior art, 1 lines set aside" in done.stdout
    plan = called("launch", "-C", str(root), "--dry-run", "--device", "sim", "--agents", "1")
    assert (
        "68 records, 33 of them with an estimated effect: they order" in plan.stdout
    )  # beside the 67 that ship for val_bpb
