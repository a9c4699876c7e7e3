"""Heartbeats and traces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.execution.reading.progress import Heartbeat, curve, last_loss, read_heartbeats, read_progress, trace


def test_broken_lines_and_odd_types_do_no_harm(tmp_path):
    lines = [
        '{"step": 1, "loss": 2.5}',
        "[1]",
        "not json",
        '{"step": "x", "loss": null, "tokens": true}',
        '{"step": 2, "lo',
    ]
    (tmp_path / "beats").write_text("\n".join(lines))
    assert read_heartbeats(tmp_path / "beats") == (Heartbeat(1, 2.5), Heartbeat())


def test_no_sign_of_life_is_told_as_time(tmp_path):
    progress = read_progress(tmp_path / "none", tmp_path / "none", 10, "starting", 3.0)
    assert (progress.phase, progress.step, progress.elapsed) == ("starting", None, 3.0)


def test_the_newest_heartbeat_counts(tmp_path):
    beat = {"step": 7, "loss": 2.0, "tokens": 70, "seconds": 1.5}
    (tmp_path / "beats").write_text("".join(json.dumps(beat | {"step": step}) + "\n" for step in range(1000)))
    progress = read_progress(tmp_path / "beats", tmp_path / "none", 10, "starting", 3.0)
    assert (progress.phase, progress.step, progress.loss, progress.tokens) == ("training", 999, 2.0, 70)


@given(st.integers(0, 3000))
def test_a_trace_is_short_and_its_places_do_not_hang_on_the_last_steps(count):
    def sampled(steps: int) -> tuple[float, ...]:
        return trace(tuple(Heartbeat(step, float(step)) for step in range(steps)))

    assert len(sampled(count)) <= 64
    assert set(sampled(2 * count)) <= set(sampled(count)) | set(map(float, range(count, 2 * count)))
    assert len(sampled(count)) >= min(count, 32)


def test_a_trace_holds_no_nan():
    assert trace((Heartbeat(0, 5.0), Heartbeat(1, float("nan")), Heartbeat(2, float("inf")), Heartbeat(3))) == (5.0,)


def test_the_last_loss_comes_from_heartbeats_or_else_the_log():
    assert last_loss((Heartbeat(1, 4.0),), "loss: 9") == 4.0
    assert last_loss((), "step 1 loss: 9\nstep 2 | loss=1.5e2 | x") == 150.0
    assert last_loss((), "the loss of hope") is None


def test_a_curve_is_the_mean_loss_by_time() -> None:
    heartbeats = tuple(Heartbeat(step, 10.0 - step, None, step / 10) for step in range(1, 11))
    moments, losses = zip(*curve(heartbeats, points=5), strict=True)
    assert moments == pytest.approx((0.2, 0.4, 0.6, 0.8, 1.0))
    assert losses == pytest.approx((8.5, 6.5, 4.5, 2.5, 0.5))
    assert curve(()) == curve((Heartbeat(step=1),)) == ()
    assert curve((Heartbeat(1, 5.0, None, 0.0), Heartbeat(2, float("nan"), None, 1.0))) == ((0.0, 5.0),)
