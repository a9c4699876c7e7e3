"""What was measured: the noise of it, and every value as an average GPU would have measured it."""

from __future__ import annotations

import math
import sqlite3

from swarm.judge.noise import Noise, Observation, calibrate
from swarm.ledger.database import Ledger

_FRESH = 100  # measured runs, up to which the noise is learned anew from each; then from every hundredth part more

_MANY = 32  # measured runs of one code, from which on its values are kept at hand: the baseline's on many GPUs


def noise(ledger: Ledger, swarm: sqlite3.Row) -> Noise:
    """Sigma and the GPUs' offsets, from every measured run of the swarm, or all but the newest hundredth of them."""
    tag, known = swarm["tag"], ledger.memory.setdefault("noise", {})  # by tag, with the age it has
    measured = ledger.value("SELECT measured FROM swarms WHERE tag = ?", tag)
    age = measured if measured < _FRESH else _FRESH + int(_FRESH * math.log(measured / _FRESH))
    if tag not in known or known[tag][0] != age:
        known[tag] = age, _noise(ledger, swarm)
    return known[tag][1]


def _noise(ledger: Ledger, swarm: sqlite3.Row) -> Noise:
    rows = ledger.rows(  # what was measured only once says nothing about noise
        "SELECT value, source, agent, seed, steps FROM runs WHERE tag = ?1 AND state = 'measured' AND source IN"
        " (SELECT source FROM runs WHERE tag = ?1 AND state = 'measured' GROUP BY source HAVING count(*) > 1)",
        swarm["tag"],
    )
    return calibrated(swarm, rows)


def calibrated(swarm: sqlite3.Row, measured: list[sqlite3.Row]) -> Noise:
    """The noise that these measured runs show."""
    return calibrate([_observation(swarm, run) for run in measured], swarm["sigma_prior"])


def values(ledger: Ledger, swarm: sqlite3.Row, known: Noise, source: str, where: str = "1") -> list[float]:
    """The measured values of one source, lower is better, GPU offsets removed, oldest first."""
    count = ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", swarm["tag"], source
    )
    if count < _MANY:
        return _values(ledger, swarm, known, source, where)
    memory, kind = ledger.memory.setdefault("values", {}), (swarm["tag"], source, where)
    if kind not in memory or memory[kind][:2] != (count, known):
        memory[kind] = count, known, _values(ledger, swarm, known, source, where)
    return memory[kind][2]


def _values(ledger: Ledger, swarm: sqlite3.Row, known: Noise, source: str, where: str) -> list[float]:
    rows = ledger.rows(
        "SELECT value, source, agent, seed, steps FROM runs INDEXED BY runs_by_source"
        " WHERE tag = ? AND source = ? AND state = 'measured'"
        f" AND {where} ORDER BY started, id",
        *(swarm["tag"], source),
    )
    if known.slope:
        return [corrected(swarm, known, row) for row in rows]
    sign, offsets = _sign(swarm), known.offsets
    return [sign * row["value"] - offsets.get(row["agent"], 0.0) for row in rows]


def corrected(swarm: sqlite3.Row, known: Noise, run: sqlite3.Row) -> float:
    """The value of one measured run, lower is better, as an average GPU would have measured it."""
    return known.corrected(_observation(swarm, run))


def _observation(swarm: sqlite3.Row, run: sqlite3.Row) -> Observation:
    return Observation(_sign(swarm) * run["value"], run["source"], run["agent"], run["seed"], run["steps"])


def mean(ledger: Ledger, swarm: sqlite3.Row, known: Noise, source: str) -> float | None:
    """The mean of a source's runs in the metric's own direction; None where it was never measured."""
    measured = values(ledger, swarm, known, source)
    return _sign(swarm) * sum(measured) / len(measured) if measured else None


def _sign(swarm: sqlite3.Row) -> int:
    return 1 if swarm["direction"] == "lower" else -1
