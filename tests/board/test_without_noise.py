"""A swarm where equal code gives equal numbers: nothing is run twice, and it is told where that does not hold.

python -m pytest tests/board/test_without_noise.py
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from swarm.ledger.experiments import own_mean
from swarm.ledger.measurements import noise
from swarm.records import Failure, Measure, Rest, Stop
from swarm.snapshot.read import read_snapshot
from swarm.views.status import status_json
from swarm.wording.headline import headline, title
from swarm.wording.verdict_text import verdict_text
from tests.board.nights import Night

MakeNight = Callable[..., Night]


@pytest.fixture
def night(make_night: MakeNight) -> Night:
    night = make_night(policy="exact", sigma_prior=None)
    night.join()
    return night


def accuracy(night: Night) -> dict[str, float]:
    """The value of every code that was measured: a code has one."""
    return {run["source"]: run["value"] for run in night.runs("state = 'measured'")}


def test_one_run_of_the_untouched_code_serves_every_gpu(night: Night) -> None:
    waits = night.draft("gpu1", 0)
    base = night.measure("gpu0")
    assert base.purpose == "baseline"
    first = night.measure("gpu1")
    assert (first.purpose, first.experiment) == ("first", waits), "no GPU waits for the number of another"
    verdict = night.record("gpu0", base, 1.0)
    assert verdict and (verdict.status, verdict.n) == ("keep", 1)
    verdict = night.record("gpu1", first, 0.9)
    assert verdict and (verdict.status, verdict.n, verdict.gain) == ("keep", 1, pytest.approx(0.1))
    assert [run["purpose"] for run in night.runs()] == ["baseline", "first"]
    night.next("gpu1")
    other = night.row("apr5-gpu1-0000")
    assert (other["state"], other["status"], other["n"]) == ("judged", "keep", 0)
    assert own_mean(night.ledger, "apr5-gpu1-0000") == 1.0, "its results.tsv begins with that number all the same"


def test_an_idea_that_ends_before_the_untouched_code_does_waits_for_its_number(night: Night) -> None:
    experiment = night.draft("gpu1", 0)
    base, first = night.measure("gpu0"), night.measure("gpu1")
    verdict = night.record("gpu1", first, 0.9)
    assert verdict and verdict.status is None
    assert isinstance(night.next("gpu1"), Rest)
    night.record("gpu0", base, 1.0)
    waiting = night.draft("gpu1", 1)
    assert night.measure("gpu1").experiment == waiting
    assert (night.row(experiment)["status"], night.row(experiment)["n"]) == ("keep", 1)


def test_where_the_untouched_code_was_lost_another_gpu_measures_it(night: Night) -> None:
    night.draft("gpu1", 0)
    base, first = night.measure("gpu0"), night.measure("gpu1")
    night.record("gpu1", first, 0.9)
    night.record("gpu0", base, Failure.NAN)
    again = night.measure("gpu1")
    assert (again.purpose, again.source) == ("baseline", night.base.sha)
    night.record("gpu1", again, 1.0)
    night.next("gpu1")
    assert night.row(first.experiment)["status"] == "keep"


def test_nothing_is_ever_run_twice_but_for_one_pair_at_the_end(night: Night) -> None:
    night.run("gpu0", 1.0)
    values = [0.99, 1.0, 1.2, 0.99 - 1e-9, 0.985, 2.0]
    for knob, value in enumerate(values):
        night.draft("gpu0", knob)
        night.run("gpu0", value)
    kept = [night.row(name)["gain"] for name in night.trunk() if name]
    assert kept == [pytest.approx(0.01), pytest.approx(1e-9), pytest.approx(0.005, rel=1e-3)]
    assert isinstance(night.next("gpu0"), Rest) and isinstance(night.next("gpu1"), Rest), "nor is an idle GPU filled"
    night.swarm(max_experiments=len(values))
    known, purposes = accuracy(night), []
    while not isinstance(work := night.next("gpu0"), Stop):
        assert isinstance(work, Measure)
        purposes.append(work.purpose)
        night.record("gpu0", work, known[work.source])
    assert purposes == ["closing", "closing"]
    assert noise(night.transaction()).sigma == 0.0
    assert not night.ledger.rows("SELECT * FROM events WHERE kind = 'warning'")


def test_a_repeat_that_differs_is_told_and_the_swarm_reckons_with_noise_from_then_on(night: Night) -> None:
    night.run("gpu0", 1.0)
    kept = night.keep("gpu0", 0, 0.99)
    night.swarm(max_experiments=1, settings=json.dumps({"policy": "exact"}))
    closing = night.measure("gpu0")
    night.record("gpu0", closing, 0.993)
    assert night.board.swarm.policy == "carry"
    told = night.ledger.one("SELECT * FROM events WHERE kind = 'warning'")
    assert "0.99 to 0.993" in told["text"] and "policy carry decides" in told["text"] and told["experiment"] == kept
    begun = 1
    while not isinstance(work := night.next("gpu0"), Stop):
        assert isinstance(work, Measure) and work.purpose == "closing"
        night.record("gpu0", work, 0.993 if work.source == closing.source else 1.0)
        begun += 1
    assert begun == 8, "the champion and the baseline get as many fresh runs as noise needs"
    assert night.row(kept)["se"] is None, "it is not called exact any more"
    assert len(night.ledger.rows("SELECT * FROM events WHERE kind = 'warning'")) == 1
    snapshot = read_snapshot(night.path.parent.parent, night.ledger, night.tag, night.clock.now)
    assert snapshot and not snapshot.noiseless
    assert "policy exact did not hold" in snapshot.lost_policy


def test_an_edit_that_is_carried_onto_a_trunk_that_moved_is_run_there(night: Night) -> None:
    """Its number on the old trunk says nothing of it on the new one."""
    night.run("gpu0", 1.0)
    first = night.draft("gpu0", 0)
    work = night.measure("gpu0")
    night.keep("gpu1", 1, 0.8)
    verdict = night.record("gpu0", work, 0.7)
    assert verdict and verdict.status is None
    again = night.measure("gpu0")
    assert again.experiment == first and again.source != work.source
    verdict = night.record("gpu0", again, 0.75)
    assert verdict and (verdict.status, verdict.gain) == ("keep", pytest.approx(0.05))


def test_rounding_is_not_called_a_difference(night: Night) -> None:
    night.run("gpu0", 0.1)
    night.keep("gpu0", 0, 0.05)
    night.swarm(max_experiments=1)
    for _ in range(2):
        work = night.measure("gpu0")
        night.record("gpu0", work, (sum([0.1] * 3) / 3) if work.source == night.base.sha else 0.05)
    assert night.board.swarm.policy == "exact"


def test_what_people_read_of_it(night: Night) -> None:
    """Accuracy that stands at 0.00: nothing is divided by it, and the smallest gain over it can be read."""
    night.swarm(metric="accuracy", direction="higher")
    night.run("gpu0", 0.0)
    gained = night.keep("gpu0", 0, 0.000001)
    lost = night.draft("gpu0", 1)
    night.run("gpu0", 0.0)
    night.swarm(max_experiments=2)
    for _ in range(2):
        work = night.measure("gpu1")
        night.record("gpu1", work, 0.0 if work.source == night.base.sha else 0.000001)
    snapshot = read_snapshot(night.path.parent.parent, night.ledger, night.tag, night.clock.now)
    assert snapshot and snapshot.noiseless and snapshot.sigma == 0.0
    assert snapshot.headline and (snapshot.headline.gain, snapshot.headline.n) == (pytest.approx(1e-6), 1)
    assert title(snapshot) == "apr5: accuracy 0.000000000 to 0.000001000 (+0.000001000)"
    told = headline(snapshot)
    assert "±" not in told and "fresh seeds" not in told and "every step was decided by one run" in told
    experiments = {view.id: view for view in snapshot.experiments}
    assert "one run decides" in verdict_text(experiments[gained], snapshot.sigma)
    assert verdict_text(experiments[lost], snapshot.sigma).startswith("Refuted by one run")
    assert experiments["apr5-gpu1-0000"].baseline
    json.dumps(status_json(snapshot), allow_nan=False)
