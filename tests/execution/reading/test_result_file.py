"""The file that a run leaves its numbers in: every kind of it, and nothing in it that raises."""

from __future__ import annotations

import math
import os
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.reading.log_pattern import last_match
from swarm.execution.reading.result_file import read_result, stamp
from swarm.records import Failure


def read(folder: Path, name: str, content: str | bytes, metric: str = "acc"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    printed = read_result(folder, name, "", [metric])
    return printed.faults.get(metric) or printed.values[metric]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.json", '{"acc": 0.9}'),
        ("r.json", '{"acc": "0.9", "acc_std": 1}'),
        ("r.json", '{"metrics": {"acc": 0.9}, "train": {"acc": 1}}'),
        ("r.json", '[{"acc": 0.1}, {"acc": 0.9}]'),
        ("r.json", '{"acc": 0.1}\n{"acc": 0.9}\n'),
        ("out/r.jsonl", '{"acc": 0.1}\n{"acc": 0.9}\n\n'),
        ("r.csv", "step,acc\n1,0.1\n2,0.9\n"),
        ("r.csv", "step\tAcc\n1\t0.1\n2\t0.9\n\n"),
        ("r.tsv", "commit\tacc\tdescription\nabc\t0.9\tan idea, a good one\n"),
        ("r.csv", "\ufeffacc,name\r\n0.9,x\r\n"),
        ("r.json", '{"acc": 0.9}'.encode("utf-16")),
        ("r.txt", "acc = 0.9\n"),
    ],
)
def test_every_kind_of_file(tmp_path, name, content):
    assert read(tmp_path, name, content) == 0.9


def test_a_dotted_key_and_what_is_not_there(tmp_path):
    assert read(tmp_path, "r.json", '{"eval": {"acc": 0.9}, "train": {"acc": 1}}', "eval.acc") == 0.9
    assert read(tmp_path, "r.json", '{"a": {"acc": 1}, "b": {"acc": 2}}') == "r.json has it 2 times: a.acc, b.acc"
    assert read(tmp_path, "r.json", '{"loss": 1, "f1": 2}') == "r.json has no acc; it has loss, f1"
    assert (
        math.isnan(read(tmp_path, "r.json", '{"acc": NaN}')) and read(tmp_path, "r.json", '{"acc": 1e999}') == math.inf
    )


@pytest.mark.parametrize(
    "content",
    ["", "{", "[" * 100_000, '{"a":' * 100_000, '{"acc": [1, 2]}', '{"acc": true}', '{"acc": null}', "[]", "3", '"acc"',
     '{"acc": "0,9979"}', b"\xff\xfe\x00", b"\0" * 1000, '{"acc": 1, "acc": 2}', b"x" * (16 * 2**20 + 1)],
    ids=range(15),
)  # fmt: skip
@pytest.mark.parametrize("name", ["r.json", "r.csv", "r.txt"])
def test_whatever_it_holds_is_a_fault_of_the_run(tmp_path, name, content):
    assert isinstance(read(tmp_path, name, content), str)


@pytest.mark.parametrize("digits", [400, 5000, 1_000_000])
def test_a_number_of_hundreds_of_digits_is_infinite(tmp_path, digits):
    for name, text in (("r.json", '{"acc": %s}'), ("r.csv", "step,acc\n1,%s\n"), ("r.txt", "acc: %s")):
        found = read(tmp_path, name, text % ("9" * digits))
        assert found == math.inf or isinstance(found, str), name
        assert digits > 400 or found == math.inf or name == "r.txt"


@given(st.binary(max_size=200), st.sampled_from(["r.json", "r.jsonl", "r.csv", "r.tsv", "r"]))
def test_no_bytes_raise(tmp_path_factory, content, name):
    read(tmp_path_factory.getbasetemp(), name, content)


def test_a_file_that_was_there_before_does_not_count(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{"acc": 0.9}')
    before = stamp(path)
    assert "was not written by this run" in read_result(tmp_path, "r.json", before, ["acc"]).faults["acc"]
    assert "was not written by this run" in read_result(tmp_path, "none.json", "", ["acc"]).faults["acc"]
    time.sleep(0.01)
    path.write_text('{"acc": 0.9}')
    assert read_result(tmp_path, "r.json", before, ["acc"]).values["acc"] == 0.9


def test_no_link_leads_out_of_the_folder(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "r.json").write_text('{"acc": 0.9}')
    root = tmp_path / "root"
    root.mkdir()
    (root / "r.json").symlink_to(tmp_path / "outside" / "r.json")
    (root / "out").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe.json")
    for name in ("r.json", "out/r.json", "pipe.json"):
        assert "acc" in read_result(root, name, "", ["acc"]).faults


def test_the_last_match_of_a_pattern_counts():
    assert last_match(r"^score (\S+)$", "score 1\nscore 2\nno score 3\n") == "2"
    assert last_match("score (x)?", "score ") == "" and last_match("score (x)", "") is None


def test_a_pattern_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr("swarm.execution.reading.log_pattern.SECONDS", 3.0)
    with pytest.raises(TimeoutError):
        last_match(r"((?:a+)+)$", "a" * 60 + "b")


def test_a_run_is_measured_by_its_file_or_by_a_pattern(rig):
    rig.project = replace(rig.project, metric="acc", result="out/r.json", guards={"size": "<= 5"})
    wrote = "import json, pathlib; pathlib.Path('out').mkdir(); open('out/r.json', 'w').write(json.dumps({'acc': 0.9}))"
    run = rig.run(f"{wrote}\nprint('acc: 0.1')\nprint('(size 3 MB)')")
    assert run.metrics and run.metrics.value == 0.9 and run.metrics.values["size"] == 3
    run = rig.run("print('acc: 0.1')")
    assert run.failure is Failure.CODE and run.reason == "no number for acc: out/r.json was not written by this run"
    rig.project = replace(rig.project, result="", pattern=r"^TOTAL (\S+) points")
    assert rig.run("print('TOTAL 1 points\\nTOTAL 12.5 points\\nTOTAL x')").metrics.value == 12.5
    assert "matches nothing in the log" in rig.run("print('acc: 1')").reason


def test_the_newest_mention_of_a_run_decides_wherever_it_stands(rig):
    long = "import json; print(json.dumps({'x': [0.5] * 5000, 'val_bpb': 0.9})); print('more output\\n' * 40000)"
    assert rig.run(long).metrics.value == 0.9, "in a long line, half a megabyte before the end"
    run = rig.run("print('val_bpb: 1.0\\nval_bpb: 0,9979')")
    assert run.failure is Failure.CODE and "'0,9979' may have a decimal comma" in run.reason
    run = rig.run("print('val_bpc: 1.02\\nsteps: 3')")
    assert run.reason.endswith('no number for val_bpb, but val_bpc (1.02): metric = "val_bpc" in swarm.toml reads it')


def test_numbers_are_printed_with_a_point_in_every_locale(rig, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    run = rig.run(
        "import os; print('val_bpb: 1', os.environ['LANG'], os.environ['LC_NUMERIC'], 'LC_ALL' in os.environ)"
    )
    assert run.metrics and "val_bpb: 1 de_DE.UTF-8 C False" in run.log_tail


def test_a_long_key_over_many_others_fills_no_memory(tmp_path):
    content = '{"' + "a" * 60_000 + '": {' + ", ".join(f'"k{number}": 1' for number in range(9_000)) + "}}"
    tracemalloc.start()
    try:
        assert str(read(tmp_path, "r.json", content)).startswith("r.json has no acc; it has aaa")
        assert tracemalloc.get_traced_memory()[1] < 50e6, "with all of the long key in each path, half a gigabyte"
    finally:
        tracemalloc.stop()
