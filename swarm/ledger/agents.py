"""The agents of a swarm: their devices, their fences, where their branches stand."""

from __future__ import annotations

from swarm.ledger.database import Ledger
from swarm.ledger.rows import AgentRow
from swarm.ledger.transaction import Transaction


def enlist(ledger: Ledger, tag: str, agents: dict[str, tuple[str, str]]) -> None:
    """Rows for the agents (device, category); one that exists keeps its fence, and takes the device it runs on now."""
    for agent, (device, category) in agents.items():
        ledger.execute(
            "INSERT INTO agents (tag, agent, device, category) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (tag, agent) DO UPDATE SET device = excluded.device",
            *(tag, agent, device, category),
        )


def agents(ledger: Ledger, tag: str) -> list[AgentRow]:
    """All agents of a swarm, gpu2 before gpu10."""
    return ledger.records(AgentRow, "WHERE tag = ? ORDER BY length(agent), agent", tag)


def agent_row(ledger: Ledger, tag: str, agent: str) -> AgentRow:
    """KeyError for one that the swarm does not have."""
    return ledger.the_record(AgentRow, "WHERE tag = ? AND agent = ?", tag, agent)


def fence_of(ledger: Ledger, tag: str, agent: str) -> int | None:
    """The number of the agent's current lease; None for one that the swarm does not have."""
    return ledger.value("SELECT fence FROM agents WHERE tag = ? AND agent = ?", tag, agent)


def move_fence(ledger: Ledger, tag: str, agent: str) -> int:
    """The agent's next fence; KeyError for one that the swarm does not have."""
    ledger.execute("UPDATE agents SET fence = fence + 1 WHERE tag = ? AND agent = ?", tag, agent)
    return ledger.one("SELECT fence FROM agents WHERE tag = ? AND agent = ?", tag, agent)["fence"]


def note_joined(tx: Transaction, agent: str) -> None:
    tx.ledger.execute("UPDATE agents SET joined = ? WHERE tag = ? AND agent = ?", tx.now, tx.tag, agent)


def add_seconds(tx: Transaction, agent: str, seconds: float) -> None:
    """Counts what the agent's GPU has worked."""
    tx.ledger.execute("UPDATE agents SET seconds = seconds + ? WHERE tag = ? AND agent = ?", seconds, tx.tag, agent)


def move_branch(tx: Transaction, agent: str, position: int) -> None:
    """The agent's branch goes forward to that position of the trunk; never back."""
    tx.ledger.execute(
        "UPDATE agents SET position = max(position, ?) WHERE tag = ? AND agent = ?", position, tx.tag, agent
    )
