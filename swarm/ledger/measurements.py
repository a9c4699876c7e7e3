"""What was measured: the noise of it, and every value as an average GPU would have measured it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from swarm.judge.decide import read_policy
from swarm.judge.noise import NOISELESS, Noise, Observation, age_of, calibrate, learned_from
from swarm.ledger.database import Ledger
from swarm.ledger.events import RESUMED
from swarm.ledger.rows import RunRow, SwarmRow
from swarm.ledger.runs import all_runs
from swarm.ledger.swarms import measured_runs
from swarm.ledger.transaction import Transaction

_MANY = 32  # measured runs of one code, from which on its values are kept at hand: the baseline's on many GPUs


class Which(Enum):
    """Which runs of a code are meant, as a condition of SQL."""

    ALL = "1"
    OWN = "purpose IN ('first', 'replicate')"  # that its experiment is judged on
    UNSELECTED = "purpose NOT IN ('first', 'replicate')"  # that no keep was chosen by
    BASELINE = "purpose = 'baseline'"
    CONFIRMING = "purpose = 'confirm'"  # fresh seeds, before the swarm's end
    CLOSING = (  # of the end that this life comes to: runs of an earlier one are no counterparts of them
        "purpose = 'closing' AND started >="
        f" (SELECT coalesce(max(at), 0) FROM events WHERE events.tag = runs.tag AND kind = '{RESUMED}')"
    )


class HiddenRun(Struct, frozen=True):
    """A measured run with the metric on the hidden split, where it has one."""

    run: RunRow
    hidden: float | None


def noise(tx: Transaction) -> Noise:
    """Sigma and the GPUs' offsets, from every measured run of the swarm, or all but the newest hundredth of them."""
    if tx.policy.noiseless:
        return NOISELESS
    known = tx.ledger.memory.setdefault("noise", {})  # by tag, with the age it has
    age = age_of(measured_runs(tx))
    if tx.tag not in known or known[tx.tag][0] != age:
        known[tx.tag] = age, _noise(tx, learned_from(measured_runs(tx)))
    return known[tx.tag][1]


def _noise(tx: Transaction, first: int) -> Noise:
    """As the first so many runs show it."""
    rows = tx.ledger.rows(  # what was measured only once says nothing about noise
        "SELECT value, source, agent, seed, steps FROM runs WHERE tag = ?1 AND state = 'measured' AND recorded <= ?2"
        " AND source IN (SELECT source FROM runs WHERE tag = ?1 AND state = 'measured' AND recorded <= ?2"
        " GROUP BY source HAVING count(*) > 1) ORDER BY source, seed, id, attempt",
        *(tx.tag, first),
    )
    sign = tx.swarm.sign
    return calibrate([Observation(sign * value, *rest) for value, *rest in rows], tx.swarm.sigma_prior)


def calibrated(swarm: SwarmRow, measured: Iterable[RunRow]) -> Noise:
    """The noise that these measured runs show, where the swarm's policy expects any."""
    if read_policy(swarm.policy).noiseless:
        return NOISELESS
    return calibrate([_observation(swarm, run) for run in measured], swarm.sigma_prior)


def corrected(swarm: SwarmRow, known: Noise, run: RunRow) -> float:
    """The value of one measured run, lower is better, as an average GPU would have measured it."""
    return known.corrected(_observation(swarm, run))


def _observation(swarm: SwarmRow, run: RunRow) -> Observation:
    assert run.value is not None, f"{run.id} has no number"
    return Observation(swarm.sign * run.value, run.source, run.agent, run.seed, run.steps)


def values(tx: Transaction, known: Noise, source: str, which: Which = Which.ALL) -> list[float]:
    """The measured values of one source, lower is better, GPU offsets removed, oldest first."""
    count = tx.ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", tx.tag, source
    )
    if count < _MANY:
        return _values(tx, known, source, which.value)
    memory, kind = tx.ledger.memory.setdefault("values", {}), (tx.tag, source, which)
    if kind not in memory or memory[kind][:2] != (count, known):
        memory[kind] = count, known, _values(tx, known, source, which.value)
    return memory[kind][2]


def values_in_confirmation(tx: Transaction, known: Noise, source: str, confirmation: int) -> list[float]:
    """The same of one confirmation's runs alone."""
    return _values(tx, known, source, f"confirmation = {int(confirmation)}")


def _values(tx: Transaction, known: Noise, source: str, where: str) -> list[float]:
    rows = tx.ledger.rows(
        "SELECT value, source, agent, seed, steps FROM runs INDEXED BY runs_by_source"
        f" WHERE tag = ? AND source = ? AND state = 'measured' AND {where} ORDER BY started, id",
        *(tx.tag, source),
    )
    sign, offsets = tx.swarm.sign, known.offsets
    if known.slope:
        return [known.corrected(Observation(sign * value, *rest)) for value, *rest in rows]
    return [sign * row["value"] - offsets.get(row["agent"], 0.0) for row in rows]


def mean(tx: Transaction, known: Noise, source: str) -> float | None:
    """The mean of a source's runs in the metric's own direction; None where it was never measured."""
    measured = values(tx, known, source)
    return tx.swarm.sign * sum(measured) / len(measured) if measured else None


def runs_with_hidden(ledger: Ledger, tag: str) -> list[HiddenRun]:
    """Every run of a swarm, oldest first, with its hidden metric: of confirmations and closing runs."""
    hidden = {
        (row["id"], row["attempt"]): row["hidden"]
        for row in ledger.rows(
            "SELECT id, attempt, json_extract(result, '$.metrics.hidden') AS hidden FROM runs WHERE tag = ?"
            " AND purpose IN ('confirm', 'closing')",
            tag,
        )
    }
    return [HiddenRun(run, hidden.get((run.id, run.attempt))) for run in all_runs(ledger, tag)]
