"""The throughput benchmark: its arithmetic, and one small real measurement."""

from __future__ import annotations

import json

import pytest

from swarm.cli import main
from swarm.errors import SwarmError
from swarm.lab.bench import throughput


def test_shares_are_over_each_agents_own_time() -> None:
    spans = [("gpu0", 100.0, 8.0, 6.0), ("gpu0", 110.0, 8.0, 6.0), ("gpu1", 500.0, 4.0, 2.0)]
    assert throughput._figures(spans) == {
        "per_hour": pytest.approx(3600 * (2 / 18 + 1 / 4)),
        "train_share": pytest.approx(20 / 22),
        "pure_share": pytest.approx(14 / 22),
    }


@pytest.mark.long
def test_a_loop_and_a_swarm_are_measured(
    ray_address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some ten seconds of real runs. Which is faster is not asserted: a busy machine may turn it round."""
    monkeypatch.setenv("RAY_ADDRESS", ray_address)  # neither Ray's start nor its end is counted
    words = ["--agents", "1", "--budget", "0.5", "--think", "0.3", "--experiments", "2"]
    assert main(["bench", *words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 0 < result["sequential_train_share"] <= 1
    assert 0 < result["train_share"] == result["train_share_1"] <= 1
    assert result["pure_share"] == result["train_share"]  # this problem has no referee
    assert result["per_hour_1"] > 0 and result["sequential_per_hour"] > 0
    assert result["scaling_1"] == pytest.approx(1.0)


def test_a_swarm_that_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_HOURS", "-1")
    with pytest.raises(SwarmError, match="the swarm of 1 failed: swarm: SWARM_HOURS -1"):
        throughput._swarm(1, 0.1, 0.0, 1)
