"""One change of a swarm's part of the ledger: what every rule of the board acts through."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from swarm.judge.decide import Policy, fallback_of, read_policy
from swarm.ledger.database import Ledger
from swarm.ledger.rows import SwarmRow
from swarm.text import printable


class Transaction(Struct, frozen=True):
    """The ledger, the swarm's row as it stood when the change began, and the time of it (unix seconds)."""

    ledger: Ledger
    swarm: SwarmRow
    now: float

    @property
    def tag(self) -> str:
        return self.swarm.tag

    @property
    def policy(self) -> Policy:
        """The keep rule, with the project's limit of a single step's gain where the policy names none."""
        return read_policy(self.swarm.policy, self.swarm.settings.get("outlier_gain") or 0.0)

    def fall_back(self) -> Transaction:
        """The swarm goes on under the policy that its own falls back to: the transaction as it stands from then on.

        What one run each has decided stays as it is, but is no longer called exact.
        """
        policy = fallback_of(self.swarm.policy)
        self.ledger.execute("UPDATE swarms SET policy = ? WHERE tag = ?", policy, self.tag)
        self.ledger.execute("UPDATE experiments SET se = NULL WHERE tag = ? AND se = 0", self.tag)
        self.ledger.memory.clear()  # what was known of the noise was known by the old rule
        return replace(self, swarm=replace(self.swarm, policy=policy))

    def event(self, agent: str, kind: str, text: str, experiment: str | None = None) -> None:
        """A line for whoever watches."""
        line = {"agent": agent, "kind": kind, "text": printable(text), "experiment": experiment}
        self.ledger.insert("events", tag=self.tag, at=self.now, **line)


def of_swarm(ledger: Ledger, tag: str, now: float = 0.0) -> Transaction:
    """A transaction of swarm `tag`, or, without a time, a look at it; KeyError where there is no such swarm."""
    swarm = ledger.record(SwarmRow, "WHERE tag = ?", tag)
    if swarm is None:
        raise KeyError(tag)
    return Transaction(ledger, swarm, now)
