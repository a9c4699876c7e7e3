"""The bench's table of levers: resumable, over paired seeds.

python -m pytest tests/trainer/bench/test_levers.py
"""

import json
import math
from pathlib import Path

import pytest

import prepare
from trainer import harness, train
from trainer.bench import levers


def row(lever: str, seed: int, bpb: float, budget: float = 20.0) -> dict:
    return {"lever": lever, "seed": seed, "budget": budget, "val_bpb": bpb, "steps": 50}


def test_what_is_compared_are_pairs_of_equal_seeds() -> None:
    done = [
        row(levers.PLAIN, 1, 2.4),
        row(levers.PLAIN, 2, 2.5),
        row("copy_features", 1, 2.2),
        row("copy_features", 2, 2.2),
    ]
    done += [row("copy_features", 3, 1.0), row(levers.PLAIN, 1, 9.0, budget=60.0)]
    line = next(line for line in levers.table(done, 20.0) if line.startswith("| copy_features"))
    assert line == "| copy_features | 2.2000 | +0.2500 | 0.0500 | +5.0 | 50 | 2 |"


def test_a_seed_is_complete_before_the_next_one_begins_and_what_is_there_is_not_run_again() -> None:
    names = list(levers.LEVERS)
    left = list(levers.missing([row(levers.PLAIN, 1, 2.4), row(names[1], 1, 2.4, budget=60.0)], 20.0, 2))
    assert left == [*((name, 1) for name in names[1:]), *((name, 2) for name in names)]


def test_every_step_costs_the_least_that_it_ever_took() -> None:
    names = list(levers.LEVERS)
    done = [{"lever": name, "price": price} for name, price in ((names[0], 0.2), (names[1], 0.3), (names[0], 0.1))]
    assert levers.unpriced(done, 2) == names[2] and levers.unpriced(done[:1], 2) == names[1]
    assert levers.unpriced([{"lever": name, "price": 1.0} for name in names], 1) is None
    assert levers.prices(done) == {**dict.fromkeys(levers.SAME_WORK, 0.1), names[1]: 0.3}
    assert set(levers.SAME_WORK) < set(levers.LEVERS)
    assert levers.table([*done, row(names[0], 1, 2.4)], 20.0)[2].startswith("| as it is | 2.4000")


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    whole = json.dumps(row(levers.PLAIN, 1, 2.4)) + "\n"
    (tmp_path / "results").write_text(whole + whole[:20])
    assert len(levers.read(tmp_path / "results")) == 1


@pytest.mark.parametrize("lever", levers.LEVERS)
def test_every_lever_is_a_preset_that_fits(lever: str) -> None:
    train.check_preset(levers.changed(train.PRESETS["cpu"], lever))


def test_a_lever_is_trained_and_measured_and_the_preset_stays_plain(
    corpus: prepare.Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levers, "LEVERS", {levers.PLAIN: {}, "copy_features": {"copy_features": 1}})
    before, results = train.PRESETS["cpu"], tmp_path / "results.jsonl"
    arguments = ["--results", str(results), "--budget", "0.5", "--seeds", "1", "--rounds", "1"]
    assert levers.main(arguments) == 0
    found = levers.read(results)
    assert [one["lever"] for one in found] == 2 * ["as it is", "copy_features"]
    for priced, one in zip(found[:2], found[2:], strict=True):
        assert one["steps"] == math.ceil(0.5 / priced["price"]), "what a quiet machine would make"
    assert harness.BudgetClock is not levers.PricedClock
    assert train.PRESETS["cpu"] is before
    assert levers.main([*arguments, "--show"]) == 0
    assert "| copy_features | " in capsys.readouterr().out
