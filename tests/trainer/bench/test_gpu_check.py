"""The check of a GPU's first session, at CPU size: what can fail here does not wait for a GPU.

python -m pytest tests/trainer/bench/test_gpu_check.py
"""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from trainer.bench import gpu_check
from trainer.bench.__main__ import PARTS
from trainer.bench.gpu_check import Outcome, Part, attempt, figures

SAYS = "import sys, time; print('speed: 3'); print('last words'); sys.stdout.flush(); "


def ended(tmp_path: Path, code: str, seconds: float = 100.0) -> Outcome:
    return attempt(Part("a part", 9, (sys.executable, "-S", "-c", SAYS + code), (r"^speed",)), seconds, {}, tmp_path)


def test_a_part_that_fails_or_hangs_says_so_and_keeps_what_it_printed(tmp_path: Path) -> None:
    well, failed = ended(tmp_path, ""), ended(tmp_path, "sys.exit(3)")
    assert (well.said, figures(well)) == ("well", ["speed: 3"])
    assert (failed.said, figures(failed)) == ("failed with 3", ["speed: 3", "last words"])
    hung = ended(tmp_path, "time.sleep(1000)", 3.0)
    assert hung.said == "ended after 3 s" and hung.seconds < 500
    assert "last words" in (tmp_path / "a-part.log").read_text()
    (tmp_path / "answer.json").write_text('{"val_bpb": 0.9, "tokens": 3}')
    told = Part("told", 9, (sys.executable, "-S", "-c", ""), (r"^val_bpb:",), {}, tmp_path / "answer.json")
    assert figures(attempt(told, 100.0, {}, tmp_path)) == ["val_bpb: 0.9"]
    absent = attempt(Part("absent", 9, (str(tmp_path / "nothing"),)), 9.0, {}, tmp_path)
    assert absent.said.startswith("did not start")


def test_the_others_go_on_and_nothing_begins_when_the_time_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = (Part(name, 99, (sys.executable, "-S", "-c", code)) for name, code in (("bad", "1/0"), ("good", "")))
    found = gpu_check.check([bad, good], {}, tmp_path, 600.0)
    assert [outcome.said for outcome in found] == ["failed with 1", "well"]
    assert "ZeroDivisionError: division by zero" in gpu_check.table(found)[1]
    [late] = gpu_check.check([good], {}, tmp_path, 1.0)
    assert late.said == "not run: the time was up" and not late.well
    assert "-- bad: failed with 1" in capsys.readouterr().out


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_its_commands_are_those_of_this_repository(device: str, tmp_path: Path) -> None:
    chosen = gpu_check.parts(device, tmp_path)
    assert sum(part.seconds for part in chosen[:6]) <= 2 * gpu_check.LONGEST
    for part in chosen:
        if "trainer.bench" in part.command:
            asked = part.command[part.command.index("--only") + 1].split(",")
            assert set(asked) <= set(PARTS), part.name
        for place in part.command:
            assert not place.startswith(("tests/", "prepare")) or (gpu_check.ROOT / place).exists(), place


@pytest.mark.parametrize("only", ["none of them", "machine,nothing"])
def test_a_part_that_there_is_not_is_refused(only: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["--only", only, "--out", str(tmp_path / "out")]) == 2
    assert "the parts are machine, corpus" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.timeout(1500)
@pytest.mark.long
def test_the_cheap_parts_at_cpu_size(tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But for the corpus, which is small here, and for `again`, which is the referee's command once more."""
    shutil.copytree(cache, tmp_path / "cache")
    code = gpu_check.main(["--cpu", "--only", "machine,train,referee", "--out", str(tmp_path), "--seconds", "5000"])
    said = capsys.readouterr().out
    assert code == 0, said
    summary = (tmp_path / "summary.txt").read_text()
    assert said.endswith(summary)
    for line in (f"torch {torch.__version__}", "tokens_per_second:", "val_bpb:", "moved:"):
        assert line in summary, line


def test_the_corpus_is_prepared_by_its_part(tmp_path: Path, library_cache: Path) -> None:
    cache = shutil.copytree(library_cache, tmp_path / "cache")
    [part] = [part for part in gpu_check.parts("cpu", tmp_path) if part.name == "corpus"]
    made = attempt(part, 1000.0, {**os.environ, "AUTORESEARCH_CACHE": str(cache)}, tmp_path)
    assert made.well and len(figures(made)) == 1, made.output
