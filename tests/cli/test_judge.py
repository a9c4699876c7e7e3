"""`swarm judge`: records of any loop, in a folder that is no repository."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.cli import main
from tests.board.nights import Night
from tests.wording.test_standing import picture


def record(path: Path, metric: str = "val_bpb", sign: float = 1.0) -> Path:
    """A night of 60 ideas: two great gains, and what luck makes of the others."""
    chance = random.Random(3)
    level, best = 1.0, 1.0
    lines = [f"commit\t{metric}\tmemory_gb\tstatus\tdescription", f"a000000\t{best:.6f}\t44.0\tkeep\tbaseline"]
    for number in range(1, 61):
        gain = 0.01 if number in (10, 30) else 0.0
        value = level - gain + chance.gauss(0, 0.0006)
        kept = value < best
        if kept:
            level, best = level - gain, value
        shown = value if sign > 0 else 2.0 - value
        lines.append(f"a{number:06d}\t{shown:.6f}\t44.0\t{'keep' if kept else 'discard'}\tidea {number}")
    lines.append("b000000\t0.000000\t0.0\tcrash\ttoo large")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_it_tells_gains_from_luck_without_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    record(tmp_path / "results.tsv")
    assert main(["judge", "results.tsv", "--sigma", "0.0006", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (judged,) = told["judged"]
    real = {keep["description"] for keep in judged["keeps"] if keep["real"] >= 0.5}
    assert (told["metric"], told["direction"]) == ("val_bpb", "lower")
    assert {"idea 10", "idea 30"} <= real and len(real) < len(judged["keeps"])
    assert judged["level"] == pytest.approx(0.98, abs=0.001) and judged["low"] < judged["level"] < judged["high"]
    assert judged["experiments"] == 60
    assert main(["judge", "results.tsv", "--sigma", "0.0006", "--picture", "night.png"]) == 0
    out = capsys.readouterr().out
    assert "stand out of the noise" in out and "idea 10" in out
    assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")


def test_a_swarms_ledger_is_judged_by_all_of_its_runs(
    make_night: Callable[..., Night], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night, snapshot = picture(make_night, "carry")
    capsys.readouterr()
    assert main(["judge", str(night.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (judged,) = told["judged"]
    assert (told["metric"], told["direction"], judged["experiments"]) == ("val_bpb", "lower", 3)
    assert judged["recorded"] == 0.9935, "of the state that stands: the third step was undone"
    chances = {view.title: view.real for view in snapshot.experiments if view.real is not None}
    found = {keep["description"]: keep["real"] for keep in judged["keeps"]}
    assert {title: pytest.approx(chances[title], abs=0.02) for title in ("k0 -> 2", "k1 -> 2")}.items() <= found.items()
    assert main(["judge", str(night.path), "--picture", str(tmp_path / "swarm.png")]) == 0
    assert "with sigma 0.001" in capsys.readouterr().out and (tmp_path / "swarm.png").exists()
    for flags, words in ((["--sigma", "1"], "a ledger knows it"), (["--tag", "nope"], "no swarm called nope")):
        assert main(["judge", str(night.path), *flags]) == 2
        assert words in capsys.readouterr().err


def test_without_a_sigma_it_shows_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", str(record(tmp_path / "results.tsv"))]) == 0
    out = capsys.readouterr().out
    assert out.count("if sigma is") == 3 and "give --sigma" in out


def test_about_half_of_the_keeps_of_a_published_record_do_not_stand_out(capsys: pytest.CaptureFixture[str]) -> None:
    """march8.tsv: numbers and status words of https://github.com/karpathy/autoresearch/pull/44, in their order."""
    published = Path(__file__).with_name("march8.tsv")
    assert main(["judge", str(published), "--json"]) in (0, 4)
    told = json.loads(capsys.readouterr().out)
    likely, middle, noisy = told["judged"]
    assert [sum(keep["real"] >= 0.5 for keep in each["keeps"]) for each in told["judged"]] == [16, 11, 4]
    assert len(middle["keeps"]) == 22 and middle["recorded"] == 0.969686
    for each in (likely, middle, noisy):
        assert each["low"] < each["recorded"] < each["level"] < 0.9705 < each["high"] + 0.001
        assert [keep["line"] for keep in each["keeps"] if keep["real"] > 0.99][:2] == [3, 4]


def test_a_metric_that_is_better_higher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path / "results.tsv", "val_acc", sign=-1.0)
    assert main(["judge", str(path), "--sigma", "0.0006", "--json"]) == 0
    (judged,) = json.loads(capsys.readouterr().out)["judged"]
    assert judged["level"] == pytest.approx(1.02, abs=0.001) and judged["overstated"] > -0.001
    keeps = {keep["description"]: keep for keep in judged["keeps"]}
    assert keeps["idea 10"]["gain"] == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize(
    ("text", "flags", "words"),
    [
        (None, [], ("cannot be read",)),
        ("nothing of that kind\n", [], ("No column looks like one",)),
        ("commit\tval_bpb\tmemory_gb\tstatus\tdescription\na\t1.0\t1\tkeep\tbaseline\n", [], ("too few",)),
        ("commit\tzorb\tmemory_gb\tstatus\tdescription\na\t1.0\t1\tkeep\tbaseline\n", [], ("lower or higher",)),
        ("commit\tval_bpb\tmemory_gb\tstatus\tdescription\n", ["--sigma", "-1"], ("above 0",)),
        ("commit\tval_bpb\tmemory_gb\tstatus\tdescription\n", ["--sigma", "nan"], ("above 0",)),
        ("commit\tval_bpb\tmemory_gb\tstatus\tdescription\n", ["--direction", "up"], ("lower or higher",)),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, flags: list[str], words: tuple[str, ...]
) -> None:
    path = tmp_path / "results.tsv"
    if text is not None:
        path.write_text(text)
    assert main(["judge", str(path), *flags]) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told and all(word in told for word in words), told
