"""What may never be in a ledger, whatever was done to its swarm: each a question whose answer is a list of what broke.

Asked from outside, of a ledger that nobody writes to: `python -m swarm chaos` does it after every fault.
"""

from __future__ import annotations

from swarm.ledger.database import Ledger
from swarm.records import Rung

# A step that goes back to earlier code tries nothing.
_TRIED = "FROM experiments WHERE baseline = 0 AND state != 'abandoned' AND restores IS NULL"
# What may be tried again (board/repeats.py): with a reason, and what was judged beside a false number.
_UNASKED = f"again = '' AND coalesce(rung, '') != '{Rung.TAINTED}'"


def left_open(ledger: Ledger) -> list[str]:
    """Ideas that nobody works on and nobody else may have; runs that nobody ends."""
    return _ids(ledger, "SELECT id FROM experiments WHERE state IN ('claimed', 'drafted')") + _ids(
        ledger, "SELECT id FROM runs WHERE state = 'running'"
    )


def never_ended(ledger: Ledger) -> list[str]:
    """Experiments that ran and were never ended, or were abandoned without a reason."""
    return _ids(
        ledger,
        "SELECT id FROM experiments WHERE state NOT IN ('judged', 'abandoned') AND id IN (SELECT experiment FROM runs)",
    ) + _ids(ledger, "SELECT id FROM experiments WHERE state = 'abandoned' AND reason = ''")


def counted_twice(ledger: Ledger) -> list[str]:
    """Runs, steps of the trunk and verdicts that are there more than once."""
    return (
        _ids(ledger, "SELECT id FROM runs WHERE state != 'lost' GROUP BY id HAVING count(*) > 1")
        + _ids(ledger, "SELECT experiment AS id FROM trunk WHERE position > 0 GROUP BY id HAVING count(*) > 1")
        + _ids(ledger, "SELECT max(id) AS id FROM experiments GROUP BY verdict HAVING verdict AND count(*) > 1")
    )


def tried_twice(ledger: Ledger) -> list[str]:
    """Ideas and codes of more than one experiment, without a reason to try them again."""
    ideas = f"{_TRIED} AND {_UNASKED} GROUP BY intent, key"
    codes = f"{_TRIED} AND source IS NOT NULL GROUP BY source, key"
    return [
        name for group in (ideas, codes) for name in _ids(ledger, f"SELECT max(id) AS id {group} HAVING count(*) > 1")
    ]


def given_up(ledger: Ledger) -> list[str]:
    """Experiments that were abandoned because one of their runs was lost time and again."""
    return _ids(ledger, "SELECT id FROM experiments WHERE state = 'abandoned' AND reason LIKE 'lost %'")


def count_tested(ledger: Ledger) -> tuple[int, int]:
    """How many experiments have a run, and how many runs there are."""
    experiments = ledger.value("SELECT count(*) FROM experiments WHERE id IN (SELECT experiment FROM runs)")
    return experiments, ledger.value("SELECT count(*) FROM runs")


def _ids(ledger: Ledger, sql: str) -> list[str]:
    return [row["id"] for row in ledger.rows(sql)]
