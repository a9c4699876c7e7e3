"""What models may cost, for all agents together: money and tokens, set aside before a call and settled after it.

A payment is reserved (its worst case counts), then settled (the truth counts). Where its caller died in between it is
presumed: the worst case goes on counting, because the service may well have answered. So what counts is never less
than what was spent, and the limits hold with all calls in flight, over a crash and over a resume.
"""

from __future__ import annotations

import math

from swarm.ledger import payments
from swarm.ledger.transaction import Transaction

WAIT = 0  # for a receipt: the calls in flight hold what is left, and will give some of it back


def reserve(tx: Transaction, agent: str, model: str, usd: float, tokens: int) -> int | str:
    """A receipt above 0; WAIT where it may be had later; or why there is no more, in one line."""
    money, used = payments.total(tx)
    settled_money, settled_used = payments.total(tx, with_reserved=False)
    money_limit, token_limit = _limit(tx.swarm.max_usd), _limit(tx.swarm.max_tokens)
    if settled_money + usd > money_limit:
        return f"the money limit is reached: ${settled_money:.2f} of ${money_limit:.2f} are spent"
    if settled_used + tokens > token_limit:
        return f"the token limit is reached: {settled_used:,} of {token_limit:,} are used"
    if money + usd > money_limit or used + tokens > token_limit:
        return WAIT
    return payments.add_reserved(tx, agent, model, usd, tokens)


def left(tx: Transaction) -> float:
    """USD that can still be reserved: none where the tokens are used up, infinite without a limit."""
    money, used = payments.total(tx)
    return max(_limit(tx.swarm.max_usd) - money, 0.0) if used < _limit(tx.swarm.max_tokens) else 0.0


def _limit(limit: float | None) -> float:
    return math.inf if limit is None else limit
