"""Verdicts in plain words, and advice that rests on what happened."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarm.views.status import render_status, status_json
from swarm.wording.headline import leading
from swarm.wording.recommendations import next_tag, recommend
from swarm.wording.verdict_text import is_refuted, verdict_text


def advice(snapshot, **changes):
    return "\n".join(recommend(replace(snapshot, **changes)))


def test_the_next_swarm_starts_from_this_one(make_swarm):
    snapshot = make_swarm(4, ended=True)
    assert recommend(snapshot)[0].startswith("Go on from the champion")
    assert "`python -m swarm launch --tag apr6 --from apr5`" in recommend(snapshot)[0]
    assert recommend(replace(snapshot, champion=None))[0].startswith("Go on from the newest trunk state")


@pytest.mark.parametrize(
    ("tag", "after"), [("apr5", "apr6"), ("nov20b", "nov21"), ("apr9", "apr10"), ("night", "night-2")]
)
def test_next_tag(tag, after):
    assert next_tag(tag) == after


def test_near_misses_and_untried_categories_are_named(quiet_swarm):
    text = advice(quiet_swarm)
    assert "`python -m swarm tell 'look again at: idea 10'`" in text
    assert "Nobody tried: architecture, " in text
    assert "batch" not in text.split("Nobody tried: ")[1].split(".")[0]


def test_the_best_category_and_the_drought(make_swarm, make_experiment):
    snapshot = make_swarm(1, now=1.0)
    kept = [make_experiment(k, status="keep", category="optimizer", gain=0.004) for k in range(2)]
    lost = [make_experiment(k, category="optimizer" if k < 6 else "head") for k in range(2, 60)]
    text = advice(snapshot, experiments=(*kept, *lost))
    assert "Dig on in optimizer: 2 of 6 experiments" in text
    assert "The last 58 experiments brought no keep" in text
    assert "noise" not in text
    recent = replace(kept[0], judged=9999.0)
    assert "brought no keep" not in advice(snapshot, experiments=(*lost, recent))


def test_neither_a_cheat_nor_a_rollback_is_a_success(make_swarm, make_experiment):
    snapshot = make_swarm(1, now=1.0)
    cheats = [make_experiment(k, status="keep", category="batch", quarantine="caught") for k in range(60, 65)]
    back = [make_experiment(k, status="keep", category="rollback", restores="apr5-gpu0-0000") for k in range(65, 70)]
    lost = [make_experiment(k) for k in range(45)]
    text = advice(snapshot, experiments=(*lost, *cheats, *back))
    assert "Dig on" not in text and "The last 45 experiments brought no keep" in text


def test_noise_crashes_and_machines(make_swarm, make_experiment):
    snapshot = make_swarm(1, now=1.0)
    small = [make_experiment(k, status="keep", gain=0.0005) for k in range(3)]
    assert "near the noise of one run (sigma 0.0009): longer runs (`--budget 600`)" in advice(
        snapshot, experiments=small
    )
    crash = [
        make_experiment(k, status="crash", value=None, gain=None, failure="oom", category="batch") for k in range(5)
    ]
    text = advice(snapshot, experiments=crash)
    assert "Ideas on batch crashed 5 of 5 times, most often because it ran out of memory" in text
    lost = tuple(replace(run, failure="infrastructure") for run in snapshot.runs)
    assert "python -m swarm doctor" in advice(snapshot, runs=lost)
    assert "61% of the time: a faster researcher" in advice(snapshot, train_share=0.61, researcher="claude")
    assert "61% of the time: agents wait for Ray" in advice(snapshot, train_share=0.61, researcher="sweep")


def test_steps_that_are_more_likely_no_gain_are_named_with_what_tells(make_swarm):
    snapshot = make_swarm(4, ended=True)
    names = [view.id for view in snapshot.experiments[:3]]
    real = {names[0]: 0.97, names[1]: 0.03, names[2]: 0.4}
    views = tuple(replace(view, real=real.get(view.id), rung="kept") for view in snapshot.experiments)
    changes = {"experiments": views, "standing": tuple(names), "ablation": None}
    text = advice(snapshot, **changes)
    assert (
        "2 steps of 3 on the trunk are more likely no gain: " in text and "(p=0.03)" in text and "(p=0.97)" not in text
    )
    assert "`python -m swarm ablate apr5` measures which can go" in text
    assert "more likely no gain" not in advice(snapshot, **{**changes, "ended": None}), "runs still tell"
    assert "more likely no gain" not in advice(snapshot, **{**changes, "standing": tuple(names[:1])})


def test_one_losing_run_refutes_nothing(make_experiment):
    losing = make_experiment(1, gain=-0.001, low=-0.003, high=0.001)
    assert not is_refuted(losing, 0.0009)
    assert "unproven" in verdict_text(losing, 0.0009)
    assert not is_refuted(make_experiment(1, gain=-0.5), 0.0009)
    beaten = replace(losing, high=0.0004)
    assert is_refuted(beaten, 0.0009)
    assert "Refuted" in verdict_text(beaten, 0.0009)
    assert not is_refuted(beaten, None)


def test_verdicts_say_how_far_a_keep_is_proven(make_experiment):
    kept = make_experiment(1, status="keep", rung="kept", n=3, position=2)
    assert (
        verdict_text(kept, None)
        == "Kept after 3 runs, step 2 of the trunk. Replicated, but not confirmed on fresh seeds."
    )
    assert "not replicated" in verdict_text(replace(kept, n=1), None)
    assert "Confirmed" in verdict_text(replace(kept, rung="confirmed"), None)
    assert "Champion" in verdict_text(replace(kept, rung="champion"), None)
    assert verdict_text(make_experiment(1, status="crash", failure="nan"), None) == "Crash: it ended in a NaN loss."


def test_the_leading_state_is_not_chosen_by_its_number(make_swarm):
    snapshot = make_swarm(4, ended=True)
    assert leading(snapshot).step.experiment == snapshot.champion
    assert leading(replace(snapshot, champion=None)).step == snapshot.trunk[-1]
    assert leading(replace(snapshot, champion=None, trunk=snapshot.trunk[:1])) is None


def test_edits_that_cannot_be_told_apart_are_told_to_people(quiet_swarm, draw):
    lost = replace(quiet_swarm, saturated=True)
    for snapshot, shown in ((lost, True), (quiet_swarm, False)):
        assert any("edits can matter" in advice for advice in recommend(snapshot)) is shown
        assert ("edits all measure the same" in draw(render_status(snapshot), width=100)) is shown
        assert status_json(snapshot)["saturated"] is shown
