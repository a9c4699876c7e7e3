"""The purse that all agents share: money and tokens of models, set aside before a call and settled after it.

A payment is reserved (its worst case counts), then settled (the truth counts). Where its caller died in between it is
presumed: the worst case goes on counting, because the service may well have answered. So what counts is never less
than what was spent, and the limits hold with all calls in flight, over a crash and over a resume.
"""

from __future__ import annotations

import math
import sqlite3

from swarm.ledger.database import Ledger

WAIT = 0  # for a receipt: the calls in flight hold what is left, and will give some of it back


def reserve(
    ledger: Ledger, swarm: sqlite3.Row, agent: str, model: str, usd: float, tokens: int, now: float
) -> int | str:
    """A receipt above 0; WAIT where it may be had later; or why there is no more, in one line."""
    tag = swarm["tag"]
    money, used = _counted(ledger, tag)
    settled_money, settled_used = _counted(ledger, tag, "state != 'reserved'")
    money_limit, token_limit = _limit(swarm["max_usd"]), _limit(swarm["max_tokens"])
    if settled_money + usd > money_limit:
        return f"the money limit is reached: ${settled_money:.2f} of ${money_limit:.2f} are spent"
    if settled_used + tokens > token_limit:
        return f"the token limit is reached: {settled_used:,} of {token_limit:,} are used"
    if money + usd > money_limit or used + tokens > token_limit:
        return WAIT
    ledger.insert("payments", tag=tag, agent=agent, model=model, at=now, state="reserved", usd=usd, prompt=tokens)
    return ledger.value("SELECT last_insert_rowid()")


def settle(ledger: Ledger, receipt: int, usd: float, prompt: int, cached: int, output: int) -> None:
    """The truth about a payment, once; it may come after the worst case was presumed."""
    ledger.execute(
        "UPDATE payments SET state = 'settled', usd = ?, prompt = ?, cached = ?, output = ?"
        " WHERE id = ? AND state != 'settled'",
        *(usd, prompt, cached, output, receipt),
    )


def presume(ledger: Ledger, tag: str, agent: str | None = None) -> None:
    """Whoever reserved this will not settle it: an agent, or with None all of the swarm."""
    ledger.execute(
        "UPDATE payments SET state = 'presumed' WHERE tag = ? AND agent = coalesce(?, agent) AND state = 'reserved'",
        *(tag, agent),
    )


def left(ledger: Ledger, swarm: sqlite3.Row) -> float:
    """USD that can still be reserved: none where the tokens are used up, infinite without a limit."""
    money, used = _counted(ledger, swarm["tag"])
    return max(_limit(swarm["max_usd"]) - money, 0.0) if used < _limit(swarm["max_tokens"]) else 0.0


def _counted(ledger: Ledger, tag: str, where: str = "1") -> tuple[float, int]:
    """What the payments come to, in USD and in tokens."""
    row = ledger.one(f"SELECT total(usd), total(prompt + output) FROM payments WHERE tag = ? AND {where}", tag)
    return row[0], int(row[1])


def _limit(limit: float | None) -> float:
    return math.inf if limit is None else limit
