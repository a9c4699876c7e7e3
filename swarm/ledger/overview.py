"""Every swarm of a repository in short."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from swarm.judge.decide import read_policy
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiment, is_kept
from swarm.ledger.trunk import standing

_MEAN = """CASE WHEN total(purpose = 'closing') > 1 THEN avg(CASE WHEN purpose = 'closing' THEN value END)
        ELSE avg(value) END"""  # as everywhere: of a state's fresh runs alone, where there are several
_SWARMS = f"""
SELECT tag, policy, key, device, budget, status, metric, direction, started, ended,
    (SELECT count(*) FROM experiments e WHERE e.tag = s.tag AND e.baseline = 0 AND e.state = 'judged'
        AND e.restores IS NULL) AS experiments,
    (SELECT count(*) FROM experiments e WHERE e.tag = s.tag AND e.baseline = 0 AND e.status = 'keep'
        AND e.quarantine = '' AND e.restores IS NULL) AS keep,
    (SELECT {_MEAN} FROM runs r WHERE r.tag = s.tag AND r.source = s.base_source AND
        r.state = 'measured') AS baseline,
    (SELECT {_MEAN} FROM runs r WHERE r.tag = s.tag AND r.state = 'measured' AND r.source =
        (SELECT source FROM trunk t WHERE t.tag = s.tag ORDER BY position DESC LIMIT 1)) AS best
FROM swarms s ORDER BY started
"""


class SwarmInShort(Struct, frozen=True):
    """One swarm; `baseline` and `best` (the newest trunk) are plain means of their runs, or of their fresh ones."""

    tag: str
    key: str
    device: str
    budget: float
    status: str  # as it is stored: who leads a swarm is seen elsewhere
    metric: str
    direction: str
    started: float  # unix seconds
    ended: float | None
    experiments: int
    keep: int  # verdicts
    kept: int  # steps of the trunk's newest state that are claimed to be gains
    baseline: float | None
    best: float | None


def swarms_in_short(ledger: Ledger) -> list[SwarmInShort]:
    """All of them, oldest first."""
    return [_in_short(ledger, **dict(row)) for row in ledger.rows(_SWARMS)]


def _in_short(ledger: Ledger, tag: str, policy: str, **columns: Any) -> SwarmInShort:
    kept_from = read_policy(policy).rules.kept_from
    kept = sum(is_kept(experiment(ledger, name), kept_from) for name in standing(ledger, tag))
    return SwarmInShort(tag=tag, **columns, kept=kept)
