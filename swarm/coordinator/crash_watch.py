"""Warns where nothing but crashes comes from all agents: then something is wrong with them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from swarm.ledger.database import Ledger
from swarm.ledger.experiments import newest_verdicts
from swarm.records import Status

LEAST = 6  # crashes of all agents, with nothing else between them


class CrashWatch:
    """Looks at the newest verdicts: three of each agent, and LEAST at least. Each row of crashes is told once."""

    def __init__(self, ledger: Ledger, tag: str, agents: int, warn: Callable[[str], None]):
        self._ledger, self._tag, self._most, self._warn = ledger, tag, max(LEAST, 3 * agents), warn
        self._warned = False

    def look(self) -> None:
        last = newest_verdicts(self._ledger, self._tag, self._most, baselines=False)
        crashing = len(last) >= LEAST and all(row.status is Status.CRASH for row in last)
        if crashing and not self._warned:
            kinds = Counter(row.failure for row in last).most_common()
            listed = ", ".join(f"{count} {kind}" for kind, count in kinds)
            self._warn(f"the last {len(last)} experiments all crashed ({listed}): {last[0].reason}")
        self._warned = crashing
