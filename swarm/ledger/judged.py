"""A swarm's ledger as a record that is judged: what a table of its first runs claims, and what all of its runs say."""

from __future__ import annotations

from msgspec.structs import replace

from swarm.errors import UsageError
from swarm.judge.confirm import around
from swarm.judge.record import JudgedRecord, Recorded, judged_keep
from swarm.judge.trunk_levels import Measured, Stepped, TrunkLevels
from swarm.ledger.experiments import experiments
from swarm.ledger.transaction import Transaction
from swarm.ledger.trunk_events import events_after, flagged


def judged_swarm(tx: Transaction) -> tuple[list[Recorded], JudgedRecord]:
    """Every experiment's first run in order, the untouched code before them, and its keeps judged by all runs.

    UsageError where the swarm knows no noise: nothing says then what a gain is.
    """
    levels = TrunkLevels(tx.swarm.base_source, tx.swarm.sigma_prior, flagged(tx))
    titles = {row.id: row.title for row in experiments(tx.ledger, tx.tag)}
    rows: dict[str, Recorded] = {}  # by idea; the untouched code is ""
    claims: dict[str, float] = {}  # of every keep, as recorded
    recorded: dict[str, float] = {}  # by state of the trunk
    for _, _, event in events_after(tx, 0, 0):
        before = recorded.get(levels.tip, 0.0)
        levels.add(event)
        if isinstance(event, Measured) and (event.idea or event.observation.state == tx.swarm.base_source):
            text = titles.get(event.idea, "the untouched code")
            rows.setdefault(event.idea, Recorded(len(rows), event.observation.value, not event.idea, text))
            recorded.setdefault(tx.swarm.base_source, rows[event.idea].value)
        elif isinstance(event, Stepped) and event.idea in rows and event.idea:
            rows[event.idea] = replace(rows[event.idea], kept=True)
            recorded[event.source] = rows[event.idea].value
            claims[event.idea] = before - rows[event.idea].value
    level = levels.fresh_level(levels.tip)
    if level is None or not levels.noise.sigma:
        raise UsageError(f"swarm {tx.tag} has no noise to judge by: {levels.noise.why_none}")
    beliefs = ((idea, levels.belief(idea)) for idea in claims)  # none where no run of an idea counts any more
    keeps = tuple(
        judged_keep(rows[idea], claims[idea], known.sigma, known.effect) for idea, known in beliefs if known is not None
    )
    low, high = around(level.mean, level.deviation)
    newest = recorded.get(levels.tip, level.mean)
    return list(rows.values()), JudgedRecord(levels.noise.sigma, len(rows) - 1, keeps, newest, level.mean, low, high)
