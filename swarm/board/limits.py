"""When a swarm has done enough: its experiments, its time, and how much of that the closing wave needs."""

from __future__ import annotations

import math

from msgspec import Struct

from swarm.board import ablations, confirmations
from swarm.judge.confirm import FRESH_RUNS
from swarm.ledger import experiments, run_counts, trunk
from swarm.ledger.confirmations import open_confirmation
from swarm.ledger.database import Ledger
from swarm.ledger.rows import STARTED, ExperimentState, SwarmRow
from swarm.ledger.swarms import life, measured_in_this_life, usual_seconds
from swarm.ledger.transaction import Transaction
from swarm.text import plural

PLATEAU = 150  # runs without a keep
DRAFTED = (ExperimentState.CLAIMED, ExperimentState.DRAFTED, *STARTED)


class Limit(Struct, frozen=True):
    """Why no new experiment may start, for people. Where the `time` is up, only what ends the swarm still starts."""

    why: str
    time: bool = False


def limit(tx: Transaction, agents: int, drafting: bool = False) -> Limit | None:
    """The limit that is reached, or None. While drafting, claims and drafts count as started.

    `agents` share the closing wave.
    """
    swarm = tx.swarm
    if swarm.stop:
        return Limit("stopped")
    if swarm.reason:  # the board's own word: nothing is left to try
        return Limit(swarm.reason)
    if _time_is_up(tx, agents):
        return Limit("time is up", time=True)
    most = swarm.max_experiments
    if most is not None and experiments.begun(tx, *(DRAFTED if drafting else STARTED)) >= most:
        return Limit(f"{plural(most, 'experiment')} done")
    return None


def plateau(ledger: Ledger, tag: str) -> bool:
    """No keep for so long that all briefings should look elsewhere."""
    return run_counts.at_least_measured_since(ledger, tag, trunk.newest_keep(ledger, tag), PLATEAU)


def past_deadline(swarm: SwarmRow, now: float) -> bool:
    return swarm.deadline is not None and now >= swarm.deadline


def _time_is_up(tx: Transaction, agents: int) -> bool:
    """Whether another run would not end before the last confirmation and the closing wave must begin."""
    if tx.swarm.deadline is None:
        return False
    left, run = tx.swarm.deadline - tx.now, usual_seconds(tx)
    if left <= run + _end(tx, agents):
        return True
    return left <= run + _end(tx, agents, FRESH_RUNS) and _will_confirm(tx)


def is_dawn(tx: Transaction, agents: int, over: Limit | None) -> bool:
    """Whether the last of the runs come now in which what stands on the trunk is measured again: of a share of all."""
    share, measured = tx.policy.dawn, measured_in_this_life(tx)
    if over and over.time:
        return False
    if over:  # another limit: as many runs as a share of those that were made, once nothing new is begun
        return run_counts.refreshed(tx, life(tx).since) < share * measured
    if tx.swarm.deadline is None:
        return False
    left, run = tx.swarm.deadline - tx.now - _end(tx, agents), usual_seconds(tx)
    return left * agents <= share * (measured + agents) * run + run * agents


def time_to_confirm(tx: Transaction, agents: int) -> bool:
    """Whether the swarm's last confirmation still leaves the closing wave its time, but for the last of its runs."""
    if tx.swarm.deadline is None:
        return True
    return tx.now + _end(tx, agents, FRESH_RUNS) <= tx.swarm.deadline + usual_seconds(tx)


def _end(tx: Transaction, agents: int, confirming: int = 0) -> float:
    """How long the end of the swarm takes: the closing wave and the ablation where there is anything to measure, and so
    many pairs of a confirmation."""
    moved = trunk.tip(tx.ledger, tx.tag).source != tx.swarm.base_source
    pairs = (confirmations.closing_runs(tx) if moved else 0, confirming)
    left_out = math.ceil(ablations.end_runs(tx) / max(1, agents)) if moved else 0
    return usual_seconds(tx) * (left_out + sum(2 * math.ceil(count / max(1, agents)) for count in pairs))


def _will_confirm(tx: Transaction) -> bool:
    """Whether a confirmation is open, or the champion is going to be challenged once more at the swarm's end."""
    if open_confirmation(tx.ledger, tx.tag):
        return True
    return bool(trunk.champion(tx.ledger, tx.tag)) and confirmations.earned(tx, last=True)
