"""What may never be in a ledger, and what only looks like it."""

from __future__ import annotations

from swarm.ledger import audit
from tests.board.nights import Night


def test_a_step_that_goes_back_to_earlier_code_tries_nothing_twice(night: Night) -> None:
    night.keep("gpu0", 0, 0.998)
    first, lost = night.trunk()[-1], night.keep("gpu1", 1, 0.996)
    night.undo(2, 1)
    restoring = night.row(night.trunk()[-1] or "")
    assert restoring["source"] == night.row(first or "")["source"] and restoring["id"] not in (first, lost)
    assert audit.tried_twice(night.ledger) == []


def test_an_idea_is_tried_twice_only_with_a_reason(night: Night) -> None:
    first, second = night.keep("gpu0", 0, 0.998), night.keep("gpu1", 1, 0.996)
    night.ledger.execute("UPDATE experiments SET intent = 'the same' WHERE id IN (?, ?)", first, second)
    assert audit.tried_twice(night.ledger) == [max(first, second)]
    night.ledger.execute("UPDATE experiments SET again = 'the trunk has moved' WHERE id = ?", second)
    assert audit.tried_twice(night.ledger) == []
