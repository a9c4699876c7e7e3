"""A swarm's ledger judged by another policy: its runs in order, and what is known of each experiment beside them."""

from __future__ import annotations

from collections import Counter

from swarm.judge.decide import read_policy
from swarm.judge.replay import Replay, Tested, replay
from swarm.judge.trunk_levels import Measured
from swarm.ledger.experiments import experiments
from swarm.ledger.run_counts import any_unaudited
from swarm.ledger.transaction import Transaction
from swarm.ledger.trunk_events import events_after
from swarm.records import Outcome, Status


def replay_by(tx: Transaction, policy: str) -> Replay:
    """The swarm under that policy, as long as its runs allow it; UsageError for a policy that there is not."""
    chosen = read_policy(policy, tx.swarm.settings.get("outlier_gain") or 0.0)
    events = [event for _, _, event in events_after(tx, 0, 0)]
    runs = Counter(event.idea for event in events if isinstance(event, Measured))
    tested = {
        row.id: Tested(
            title=row.title,
            kept=row.status is Status.KEEP,
            runs=runs[row.id],
            added_size=row.added_size,
            broken_guard=row.reason if row.outcome is Outcome.BROKE_GUARD else "",
            no_effect=row.outcome is Outcome.NO_EFFECT,
            given_up=row.outcome is Outcome.GIVEN_UP,
            unaudited=any_unaudited(tx.ledger, row.source or ""),
        )
        for row in experiments(tx.ledger, tx.tag)
        if not row.baseline and not row.restores and runs[row.id]
    }
    same_way_back = chosen.rolls_back and tx.policy.rolls_back
    return replay(tx.swarm.base_source, tx.swarm.sigma_prior, events, tested, chosen, same_way_back)
