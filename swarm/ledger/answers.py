"""The answers to requests, kept for whoever repeats one because its answer got lost."""

from __future__ import annotations

from typing import Any

from swarm.codec import encode
from swarm.ledger.database import Ledger


def stored_answer(ledger: Ledger, request: str, unknown: Any) -> Any:
    """The answer that was given to this request, or `unknown`."""
    answer = ledger.value("SELECT answer FROM answers WHERE request = ?", request)
    return unknown if answer is None else ledger.decoded(answer)


def store_answer(ledger: Ledger, request: str, answer: object, now: float) -> None:
    ledger.insert("answers", request=request, at=now, answer=encode(answer))


def forget_answers(ledger: Ledger, before: float) -> None:
    ledger.execute("DELETE FROM answers WHERE at < ?", before)
