"""The last look at novelty, after a run: an edit that changes no loss did nothing."""

from __future__ import annotations

from swarm.codec import decode
from swarm.ledger.database import Ledger

TELLING = 3  # different losses from which on a trace says something


def does_nothing(ledger: Ledger, experiment: str) -> bool:
    """Whether a run of the experiment trained exactly as its parent did on the same seed, loss by loss to the end.

    Nothing is said on a prefix: schedule edits look alike until the schedule bites. Where the machine does not repeat
    itself to the last bit, no two traces are the same and this finds nothing.
    """
    pairs = ledger.rows(
        "SELECT own.result AS own, parents.result AS parents FROM runs own JOIN runs parents"
        " ON parents.tag = own.tag AND parents.source = own.parent AND parents.seed = own.seed"
        " WHERE own.experiment = ? AND own.source != own.parent AND own.state = 'measured'"
        " AND own.purpose IN ('first', 'replicate') AND parents.state = 'measured'",
        experiment,
    )
    traces = ((decode(pair["own"]).trace, decode(pair["parents"]).trace) for pair in pairs)
    return any(own == parents and len(set(own)) >= TELLING for own, parents in traces)
