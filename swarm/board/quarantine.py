"""A kept step that is caught cheating later is taken back, and all that was built on it is flagged, inside the
board's transaction. The referee draws its lots anew for every run, so a cheat may pass at first and be caught when it
is refreshed, confirmed, or run once more at the end.
"""

from __future__ import annotations

import sqlite3

from swarm.board import confirmations
from swarm.board.rollback import go_back
from swarm.ledger.database import Ledger
from swarm.ledger.queries import FLAGGED_SOURCES, champion, tip
from swarm.records import Failure, Run, Rung, Verdict

CLOCK, CLOCKED = "clock:", 2  # a machine in trouble may be late once; who is late so often is caught


def expose(ledger: Ledger, swarm: sqlite3.Row, row: sqlite3.Row, run: Run, now: float) -> None:
    """Takes `run`, which was found invalid, for what it says of a step of the trunk, where its code is one."""
    tag, source = swarm["tag"], row["source"]
    steps = ledger.rows(
        "SELECT experiments.* FROM trunk JOIN experiments ON experiments.id = trunk.experiment WHERE trunk.tag = ?"
        " ORDER BY trunk.position",
        tag,
    )
    culprit = next((step for step in steps if step["source"] == source and not step["restores"]), None)
    if source == swarm["base_source"]:
        _tell(ledger, swarm, None, f"the untouched code itself was found invalid: {run.reason}", now)
        return
    if culprit is None or not _caught(ledger, run, source):
        return
    infected = _infected(steps, source)
    known = culprit["rung"] in (Rung.INVALID, Rung.TAINTED)
    if known and tip(ledger, tag)["source"] not in infected:
        return
    _take_back(ledger, swarm, infected, f"{culprit['id']} was found invalid: {run.reason}", now)
    _flag(ledger, tag, culprit["id"], f"{run.reason} (caught in run {run.run})", infected)
    confirmations.void(ledger, tag, infected, now)
    _crown_another(ledger, tag)
    _tell(ledger, swarm, culprit["id"], f"{culprit['title']}: kept, and now found invalid: {run.reason}", now)


def _caught(ledger: Ledger, run: Run, source: str) -> bool:
    found = ledger.value("SELECT count(*) FROM runs WHERE source = ? AND failure = ?", source, Failure.INVALID)
    return not run.reason.startswith(CLOCK) or found >= CLOCKED


def _infected(steps: list[sqlite3.Row], source: str) -> set[str]:
    """The code of the step and of all that was kept on top of it; a step that restores what was before is clean."""
    infected = {source}
    for step in steps:
        if step["parent"] in infected and not step["restores"]:
            infected.add(step["source"])
    return infected


def _take_back(ledger: Ledger, swarm: sqlite3.Row, infected: set[str], why: str, now: float) -> None:
    """The trunk goes on from its newest clean step, if it does not already."""
    newest = tip(ledger, swarm["tag"])
    if newest["source"] not in infected:
        return
    steps = ledger.rows(
        f"SELECT * FROM trunk WHERE tag = ? AND source NOT IN {FLAGGED_SOURCES} ORDER BY position DESC",
        *(swarm["tag"], swarm["tag"]),
    )
    clean = next(step for step in steps if step["source"] not in infected)
    go_back(ledger, swarm, newest, clean, why, Verdict(None, None, None, 0, why), now)


def _flag(ledger: Ledger, tag: str, culprit: str, why: str, infected: set[str]) -> None:
    marks = ", ".join("?" * len(infected))
    ledger.execute(
        "UPDATE experiments SET rung = ?, quarantine = ? WHERE tag = ? AND state = 'judged' AND baseline = 0"
        f" AND restores IS NULL AND parent IN ({marks})",
        *(Rung.TAINTED, f"built on {culprit}, which was found invalid", tag, *infected),
    )
    ledger.execute("UPDATE experiments SET rung = ?, quarantine = ? WHERE id = ?", Rung.INVALID, why, culprit)


def taint(ledger: Ledger, tag: str, experiment: str) -> None:
    """Flags a judged experiment that was measured last beside flagged code: its gain is over a false number."""
    ledger.execute(
        "UPDATE experiments SET rung = ?, quarantine = 'measured beside code that was found invalid'"
        " WHERE id = ?2 AND (SELECT parent FROM runs WHERE experiment = ?2 AND state = 'measured'"
        f" ORDER BY started DESC LIMIT 1) IN {FLAGGED_SOURCES}",
        *(Rung.TAINTED, experiment, tag),
    )


def _crown_another(ledger: Ledger, tag: str) -> None:
    """Where the champion fell, the newest of those that stay confirmed leads."""
    if champion(ledger, tag) is None:
        ledger.execute(
            "UPDATE experiments SET rung = ?1 WHERE id = (SELECT id FROM experiments WHERE tag = ?2 AND rung = ?3"
            " ORDER BY position DESC LIMIT 1)",
            *(Rung.CHAMPION, tag, Rung.CONFIRMED),
        )


def _tell(ledger: Ledger, swarm: sqlite3.Row, experiment: str | None, text: str, now: float) -> None:
    kind = "invalid" if experiment else "warning"
    ledger.insert("events", tag=swarm["tag"], at=now, agent="swarm", kind=kind, text=text, experiment=experiment)
