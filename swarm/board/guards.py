"""The bounds beside the metric, inside the board's transaction."""

from __future__ import annotations

from swarm.judge.guards import breach
from swarm.ledger import run_results
from swarm.ledger.transaction import Transaction


def broken_guard(tx: Transaction, source: str) -> str:
    """The guard that this code breaks, in one line; "" where it breaks none."""
    guards = tx.swarm.settings.get("guards")
    if not guards:
        return ""
    own, untouched = (run_results.metrics_of(tx, sha) for sha in (source, tx.swarm.base_source))
    measured = set.intersection(*(set(metrics.measured) for metrics in own)) if own else set[str]()
    return breach(guards, [metrics.values for metrics in own], [metrics.values for metrics in untouched], measured)
