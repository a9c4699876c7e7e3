"""The study: every key that is promised, and figures that follow from the outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.lab.simulation import study
from swarm.lab.simulation.figures import mean, ratio
from swarm.lab.simulation.simulated_swarm import Outcome, SimulatedSwarm
from swarm.lab.simulation.store import Store
from swarm.lab.simulation.study import Results, Study, _swarms, read_study, run

CELLS = ("0006_default", "0012_default", "0006_klike", "0012_klike")
SINGLE = (
    "progress_ratio_1gpu", "null_nights_kept", "moves", "rebases",
    "false_champions", "optimism_sigma", "greedy_optimism_sigma", "null_nights_clean", "duplicates_run",
    "wrongly_refused", "speedup_8", "speedup_8_12h",
)  # fmt: skip


def outcome(swarm: SimulatedSwarm) -> Outcome:
    """Carry gains twice what greedy does, and one agent a sixth of what eight do in the same time."""
    rate = 0.006 * (1 if swarm.policy == "greedy" else 2) / (8 if swarm.gpus == 8 else 48)
    hours = range(int(swarm.hours) * 60 + 1)
    return Outcome(
        progress=tuple((minute / 60, rate * minute / 60) for minute in hours),
        steps=12, standing=10, keeps=10, false_keeps=1 if swarm.policy == "carry" else 4,
        crowned=int(swarm.landscape.gain > 0),
        false_champions=0, optimism=0.1, record_optimism=2.0, experiments=50, runs=80, new_share=0.7,
        new_ideas=100, wrongly_refused=1, repeats=40, repeats_run=2,
        proposals=200, refused=30, judged=(),
    )  # fmt: skip


def test_one_flat_object_has_every_key() -> None:
    study = Study(swarms=3)
    flat = Results(study, {swarm: outcome(swarm) for swarm in _swarms(study)}).flat()
    names = [f"{stem}_{cell}" for stem in ("progress_ratio", "false_keeps") for cell in CELLS] + [*SINGLE]
    names += [f"bare_loop_{cell}_1gpu" for cell in CELLS]
    names += [f"{name}_1gpu" for name in names if not name.startswith("speedup") and not name.endswith("_1gpu")]
    assert set(names) | {f"se_{name}" for name in names} <= set(flat)
    assert all(value is None or isinstance(value, (int, float)) for value in flat.values())
    assert flat["progress_ratio_0012_klike"] == pytest.approx(2.0)
    assert (flat["false_keeps_0006_default"], flat["greedy_false_keeps_0006_default"]) == (0.1, 0.4)
    assert (flat["null_nights_clean"], flat["duplicates_run"], flat["wrongly_refused"]) == (1.0, 0.05, 0.01)
    assert flat["refused"] == 0.15
    assert flat["speedup_8"] == pytest.approx(6.0) == flat["speedup_8_12h"]


def test_a_swarm_counts_only_beside_the_other_policys() -> None:
    """A study that was cut short: what is there is compared, and what is not is null."""
    study = Study(swarms=3)
    made = {swarm: outcome(swarm) for swarm in list(_swarms(study))[: 2 * 9 - 4]}
    results = Results(study, made)
    flat = results.flat()
    assert results.counts() == {1: 2, 8: 0}
    assert flat["progress_ratio_0006_default_1gpu"] == pytest.approx(2.0) == flat["progress_ratio_1gpu"]
    assert len(results.of(0.0012, "klike", "carry", 1)) == 1
    assert flat["progress_ratio_0006_default"] is None and flat["speedup_8"] is None


def test_figures_come_with_their_standard_errors() -> None:
    assert mean([1.0, 3.0]).se == pytest.approx(1.0)
    assert ratio([1.0, 2.0], [2.0, 4.0]).se == 0.0
    assert ratio([1.0], [0.0]).value is None


@pytest.mark.parametrize(
    "flags",
    [{"sigma": "much"}, {"sigma": "-1"}, {"landscape": "moon"}, {"policy": "rce"}, {"policy": "race:keep=1"},
     {"policy": "race:keep_z=x"}, {"swarms": 0}, {"researcher": "x"}, {"hours": float("inf")},
     {"repeats": 1.0}, {"gpus": -1}],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused_in_one_line(flags: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        read_study(flags)
    assert "\n" not in str(refused.value)


TINY = Study(swarms=1, hours=0.5, gpus=1, sigmas=(0.0006,), landscapes=("default",), workers=1)


def test_a_study_goes_on_where_it_was_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "LONG", 2.0)  # hours, of the swarm that is alone
    whole = run(TINY)
    first, again = Store(tmp_path / "study.jsonl"), []
    assert not run(TINY, store=first, patience=0.0).outcomes
    run(TINY, lambda done, of: again.append((done, of)), first)
    text = (tmp_path / "study.jsonl").read_text()
    lines = text.splitlines(keepends=True)
    assert len(lines) == len(whole.outcomes) == len(again)
    (tmp_path / "study.jsonl").write_text("".join(lines[:2]) + lines[2][:40])  # its computer was switched off
    rest = Store(tmp_path / "study.jsonl")
    again.clear()
    assert run(TINY, lambda done, of: again.append(done), rest).flat() == whole.flat()
    assert len(again) == len(lines) - 2 and rest.others == 1
    assert run(TINY, store=Store(tmp_path / "study.jsonl"), patience=0.0).flat() == whole.flat()


def test_what_other_code_simulated_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    swarm = TINY.first()
    Store(path).add(swarm, outcome(swarm))
    assert Store(path).of(swarm) == outcome(swarm)
    path.write_text(path.read_text().replace('{"code": "', '{"code": "0'))
    other = Store(path)
    assert other.of(swarm) is None and other.others == 1
