"""What was tried before: the answer to whoever wants to repeat it, and when it may be tried again.

A repetition is always answered with the earlier result, so that nothing is burned and its researcher learns. What is
being tried now is refused. What was tried needs a word on why it should work now (`Idea.again`). Then it may run: a
reason opens it once, and every change of the trunk that could matter to it opens it anew.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from swarm.board.standing import Standing, standing
from swarm.ledger.database import Ledger
from swarm.ledger.queries import interval
from swarm.records import Duplicate, Rung

FAR = 3  # changes of the trunk after which what was not refuted may look otherwise
DIFF = 1_200  # characters of an earlier change that are shown
LIVE = {"claimed": "being drafted now", "drafted": "waits for its GPU", "testing": "being tested now"}


def refusal(ledger: Ledger, swarm: sqlite3.Row, earlier: sqlite3.Row, again: str, gate: str) -> Duplicate | None:
    """Why the experiment `earlier` may not be repeated, with what came of it; None where it may."""
    if earlier["baseline"] or earlier["state"] != "judged":
        return Duplicate(earlier["id"], gate, told(earlier, swarm["sigma"]))
    if earlier["rung"] == Rung.TAINTED:  # it was judged beside a number that was false: nobody knows it
        return None
    since = changes_since(ledger, swarm["tag"], earlier["tag"], earlier["position"])
    open_again = reopened(since, earlier["category"], standing_of(earlier, swarm["sigma"]))
    if again and (open_again or not earlier["again"]):
        return None
    advice = "Propose something else."
    if open_again or not earlier["again"]:
        moved = f"The trunk has taken {len(since)} steps since. " if since else ""
        advice = f"{moved}If you know why it should come out otherwise now, propose it again and say so in `again`."
    return Duplicate(earlier["id"], gate, f"{told(earlier, swarm['sigma'])}\n{advice}")


def told(row: sqlite3.Row, sigma: float | None) -> str:
    """An experiment for whoever would repeat it: who, when, what came of it with its evidence, and its change."""
    head = f"{row['id']} ({row['title']})"
    if row["baseline"]:
        return f"{head}: it is the untouched code"
    if row["state"] != "judged":
        return f"{head}, by {row['owner']}: {LIVE.get(row['state'], row['state'])}"
    when = datetime.fromtimestamp(row["judged"], UTC)
    came = f"{row['status']}, {standing_of(row, sigma)}, {_evidence(row)}; {row['reason']}"
    lines = [f"{head}, by {row['agent']}, {when:%Y-%m-%d %H:%M} UTC: {came}"]
    if row["diff"]:
        cut = len(row["diff"]) > DIFF
        lines.append(f"Its change:\n{row['diff'][:DIFF]}{' ...' if cut else ''}")
    return "\n".join(lines)


def _evidence(row: sqlite3.Row) -> str:
    low, high = interval(row["gain"], row["se"])
    if row["gain"] is None:
        return "no number"
    bounds = "" if low is None else f" (95%: {low:+.5g} to {high:+.5g})"
    return f"gain {row['gain']:+.5g}{bounds}, n={row['n']}"


def standing_of(row: sqlite3.Row, sigma: float | None) -> Standing | None:
    """Where the experiment of this row stands."""
    return standing(row["status"], row["reason"], interval(row["gain"], row["se"])[1], sigma)


def changes_since(ledger: Ledger, tag: str, then_tag: str, then_position: int) -> list[str]:
    """The categories of the kept steps in which the trunk's tip differs from an earlier position, of any night's trunk.

    Steps that both lines share count for neither.
    """
    now, then = steps(ledger, tag), steps(ledger, then_tag, then_position)
    return [category for step, category in {**now, **then}.items() if (step in now) != (step in then)]


def steps(ledger: Ledger, tag: str, position: int | None = None) -> dict[str, str]:
    """{experiment: category} of the trunk up to a position, with the night's trunk that it started from."""
    rows = ledger.rows(
        "SELECT experiments.id, category FROM trunk JOIN experiments ON experiments.id = trunk.experiment"
        " WHERE trunk.tag = ?1 AND (?2 IS NULL OR trunk.position <= ?2)",
        *(tag, position),
    )
    own = {row["id"]: row["category"] for row in rows}
    root = ledger.row(
        "SELECT trunk.tag, position FROM swarms JOIN trunk ON trunk.tag = from_tag AND trunk.source = base_source"
        " WHERE swarms.tag = ? ORDER BY position DESC",
        tag,
    )
    return steps(ledger, root["tag"], root["position"]) | own if root else own


def reopened(changes: list[str], category: str, known: Standing | None) -> bool:
    """Whether these changes of the trunk could matter: one of its own category, or many for what was not refuted.

    What did nothing was never tested, and is open at once.
    """
    return category in changes or known is Standing.NOOP or (known is not Standing.REFUTED and len(changes) >= FAR)
