"""What was measured: the noise of it, and every value as an average GPU would have measured it."""

from __future__ import annotations

import math
import sqlite3
from weakref import WeakKeyDictionary

from swarm.board.ledger import Ledger
from swarm.judge.noise import Noise, Observation, calibrate

_FRESH = 100  # measured runs, up to which the noise is learned anew from each; then from every hundredth part more
_known: WeakKeyDictionary[Ledger, dict[str, tuple[int, Noise]]] = WeakKeyDictionary()  # by tag, with the age it has


def noise(ledger: Ledger, swarm: sqlite3.Row) -> Noise:
    """Sigma and the GPUs' offsets, from every measured run of the swarm, or all but the newest hundredth of them."""
    known, tag = _known.setdefault(ledger, {}), swarm["tag"]
    measured = ledger.value("SELECT measured FROM swarms WHERE tag = ?", tag)
    age = measured if measured < _FRESH else _FRESH + int(_FRESH * math.log(measured / _FRESH))
    if tag not in known or known[tag][0] != age:
        known[tag] = age, _noise(ledger, swarm)
    return known[tag][1]


def _noise(ledger: Ledger, swarm: sqlite3.Row) -> Noise:
    rows = ledger.rows(  # what was measured only once says nothing about noise
        "SELECT value, source, agent, seed FROM runs WHERE tag = ?1 AND state = 'measured' AND source IN"
        " (SELECT source FROM runs WHERE tag = ?1 AND state = 'measured' GROUP BY source HAVING count(*) > 1)",
        swarm["tag"],
    )
    return calibrated(swarm, rows)


def calibrated(swarm: sqlite3.Row, measured: list[sqlite3.Row]) -> Noise:
    """The noise that these measured runs show."""
    return calibrate([_observation(swarm, run) for run in measured], swarm["sigma_prior"])


def values(ledger: Ledger, swarm: sqlite3.Row, known: Noise, source: str, where: str = "1") -> list[float]:
    """The measured values of one source, lower is better, GPU offsets removed, oldest first."""
    rows = ledger.rows(
        "SELECT value, agent FROM runs INDEXED BY runs_by_source WHERE tag = ? AND source = ? AND state = 'measured'"
        f" AND {where} ORDER BY started, id",
        *(swarm["tag"], source),
    )
    sign, offsets = _sign(swarm), known.offsets
    return [sign * row["value"] - offsets.get(row["agent"], 0.0) for row in rows]


def corrected(swarm: sqlite3.Row, known: Noise, run: sqlite3.Row) -> float:
    """The value of one measured run, lower is better, as an average GPU would have measured it."""
    return known.corrected(_observation(swarm, run))


def _observation(swarm: sqlite3.Row, run: sqlite3.Row) -> Observation:
    return Observation(_sign(swarm) * run["value"], run["source"], run["agent"], run["seed"])


def mean(ledger: Ledger, swarm: sqlite3.Row, known: Noise, source: str) -> float | None:
    """The mean of a source's runs in the metric's own direction; None where it was never measured."""
    measured = values(ledger, swarm, known, source)
    return _sign(swarm) * sum(measured) / len(measured) if measured else None


def _sign(swarm: sqlite3.Row) -> int:
    return 1 if swarm["direction"] == "lower" else -1
