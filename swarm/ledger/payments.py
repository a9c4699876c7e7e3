"""What models cost: payments that are reserved, settled, or presumed."""

from __future__ import annotations

from msgspec import Struct

from swarm import foreign
from swarm.ledger.database import Ledger
from swarm.ledger.transaction import Transaction


class Paid(Struct, frozen=True):
    """The payments of one agent in one state, added up; `prompt` and `cached` are parts of the tokens."""

    agent: str
    state: str  # reserved, settled, presumed
    usd: float
    prompt: int
    cached: int
    tokens: int


def add_reserved(tx: Transaction, agent: str, model: str, usd: float, tokens: int) -> int:
    """Sets the worst case of a call aside; gives the receipt."""
    payment = {"agent": agent, "model": model, "state": "reserved", "usd": usd, "prompt": tokens}
    tx.ledger.insert("payments", tag=tx.tag, at=tx.now, **payment)
    return tx.ledger.value("SELECT last_insert_rowid()")


def settle(ledger: Ledger, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None:
    """The truth about a payment, once; it may come after the worst case was presumed. Others count it: what is no
    amount, or no number of tokens, is none."""
    counts = [foreign.count(tokens) or 0 for tokens in (prompt, cached, output)]
    ledger.execute(
        "UPDATE payments SET state = 'settled', usd = ?, prompt = ?, cached = ?, output = ?"
        " WHERE id = ? AND state != 'settled'",
        *(foreign.finite(usd, 0) or 0.0, *counts, receipt),
    )


def presume(ledger: Ledger, tag: str, agent: str | None = None) -> None:
    """Whoever reserved this will not settle it: an agent, or with None all of the swarm."""
    ledger.execute(
        "UPDATE payments SET state = 'presumed' WHERE tag = ? AND agent = coalesce(?, agent) AND state = 'reserved'",
        *(tag, agent),
    )


def total(tx: Transaction, with_reserved: bool = True) -> tuple[float, int]:
    """What the payments come to, in USD and in tokens."""
    where = "1" if with_reserved else "state != 'reserved'"
    usd, tokens = tx.ledger.one(
        f"SELECT total(usd), total(prompt + output) FROM payments WHERE tag = ? AND {where}", tx.tag
    )
    return usd, int(tokens)


def paid(ledger: Ledger, tag: str) -> list[Paid]:
    """All payments of a swarm, added up by agent and state."""
    rows = ledger.rows(
        "SELECT agent, state, sum(usd), sum(prompt), sum(cached), sum(prompt + output) FROM payments WHERE tag = ?"
        " GROUP BY agent, state",
        tag,
    )
    return [Paid(*row) for row in rows]
