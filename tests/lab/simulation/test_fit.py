"""What a swarm of known parameters leaves in its ledger gives these parameters back, within their intervals."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from swarm.errors import UsageError
from swarm.judge.effects import Seen
from swarm.judge.record import Recorded
from swarm.lab.simulation.evidence import of_ledger, of_record
from swarm.lab.simulation.fit import Fit, fit
from swarm.lab.simulation.landscape import Landscape
from swarm.lab.simulation.simulated_swarm import TAG, SimulatedSwarm, simulate
from swarm.ledger.database import Ledger

SIGMA = 0.0006
TRUTH = Landscape(
    bad=0.5, gain=0.15, mean_gain=5 * SIGMA, mean_loss=10 * SIGMA, drift=0.2 * SIGMA, needs=0, overlaps=0, room=10.0
)


def seen(count: int, bad: float, gain: float, mean_loss: float, mean_gain: float, seed: int) -> list[Seen]:
    chance, found = random.Random(seed), []
    for _ in range(count):
        kind, effect = chance.random(), 0.2 * chance.gauss()
        if kind < bad:
            effect = -chance.expovariate(1 / mean_loss)
        elif kind > 1 - gain:
            effect = chance.expovariate(1 / mean_gain)
        found.append(Seen(effect + 1.1 * chance.gauss(), 1.1))
    return found


@pytest.mark.parametrize("bad, gain, mean_loss, mean_gain", [(0.5, 0.15, 10, 5), (0.25, 0.06, 6, 3), (0.6, 0.3, 3, 8)])
def test_the_parameters_come_back_within_their_intervals(
    bad: float, gain: float, mean_loss: float, mean_gain: float
) -> None:
    """Of twelve samples at least ten hold each: a 95% interval misses one in twenty."""
    found = [fit(seen(150, bad, gain, mean_loss, mean_gain, seed)) for seed in range(12)]
    for name, truth in {"bad": bad, "gain": gain, "mean_loss": mean_loss, "mean_gain": mean_gain}.items():
        assert sum(truth in getattr(one, name) for one in found) >= 10, name


def test_more_ideas_say_more_and_none_say_what_is_usual() -> None:
    def width(known: Fit) -> float:
        return known.gain.high - known.gain.low

    ideas = seen(400, 0.5, 0.15, 10, 5, seed=1)
    assert width(fit(ideas)) < 0.6 * width(fit(ideas[:60]))
    assert fit([]).gain.low < 0.15 < fit([]).gain.high


def test_a_simulated_swarms_ledger_gives_its_landscape_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", write=True)
    simulate(SimulatedSwarm(TRUTH, SIGMA, gpus=8, hours=3.0, offset=0.8, repeats=0.0), ledger)
    evidence = of_ledger(ledger, TAG)
    known = fit(evidence.effects)
    assert (evidence.gpus, evidence.metric, evidence.direction) == (8, "val_bpb", "lower")
    assert evidence.seconds == pytest.approx(301.5, rel=0.01) and evidence.hours == pytest.approx(3.0, rel=0.1)
    assert len(evidence.effects) > 120
    assert SIGMA in evidence.sigma and evidence.sigma.high < 2 * SIGMA
    assert evidence.offset and 0.8 in evidence.offset
    assert TRUTH.bad in known.bad and TRUTH.gain in known.gain
    assert 5.0 in known.mean_gain and 10.0 in known.mean_loss


def test_a_record_without_any_noise_is_refused_in_one_line() -> None:
    rows = [Recorded(line, 1.0, False, "the same again") for line in range(1, 9)]
    with pytest.raises(UsageError, match="--sigma"):
        of_record("results.tsv", "val_bpb", "lower", rows, None)
