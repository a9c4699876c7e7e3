"""From idea to edit, inside the board's transaction: who has the right to an idea, and whose a piece of code is."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

from swarm.board.repeats import refusal, told
from swarm.ledger.database import Ledger
from swarm.ledger.queries import abandon, known_constants, next_id, store_source
from swarm.novelty.intent import intent
from swarm.records import Change, Claim, Code, Duplicate, Idea
from swarm.text import one_line, printable

TITLE, RATIONALE, AGAIN = 200, 10_000, 2_000  # characters of an idea that are kept
NEIGHBOURS = 400  # experiments, the newest, that a new change is compared with


def claim(
    ledger: Ledger, swarm: sqlite3.Row, agent: str, fence: int, idea: Idea, position: int, now: float
) -> Claim | Duplicate:
    """The exclusive right to try the idea from that trunk position; or who has it, or had it, and what came of it."""
    tag, key, idea = swarm["tag"], swarm["key"], legible(idea)
    parent = ledger.value("SELECT source FROM trunk WHERE tag = ? AND position = ?", tag, position)
    meant = intent(idea, known_constants(ledger, parent, swarm["device"]))
    earlier = ledger.row(
        "SELECT * FROM experiments WHERE intent = ? AND key = ? AND baseline = 0 AND state != 'abandoned'"
        " ORDER BY state = 'judged', created DESC",
        *(meant, key),
    )
    refused = refusal(ledger, swarm, earlier, idea.again, "idea") if earlier else None
    if refused:
        return refused
    sequence, experiment = next_id(ledger, tag, agent)
    ledger.insert(
        "experiments",
        id=experiment,
        tag=tag,
        agent=agent,
        owner=agent,
        sequence=sequence,
        state="claimed",
        key=key,
        intent=meant,
        title=idea.title,
        rationale=idea.rationale,
        category=idea.category,
        knobs=json.dumps(dict(idea.knobs)),
        again=idea.again,
        parent=parent,
        position=position,
        created=now,
    )
    return Claim(experiment, agent, fence, idea, parent, position)


def free(ledger: Ledger, tag: str, agent: str, *states: str) -> bool:
    """The agent's ideas in these states are free again; gives whether there was any."""
    held = ledger.rows(
        f"SELECT id FROM experiments WHERE tag = ? AND owner = ? AND state IN ({','.join('?' * len(states))})",
        *(tag, agent, *states),
    )
    for row in held:
        abandon(ledger, row["id"], "its agent went away before the first run")
    return bool(held)


def same_code(ledger: Ledger, swarm: sqlite3.Row, fingerprint: str, experiment: str) -> Duplicate | None:
    """Which other experiment is about this very code; None where there is none."""
    row = ledger.row(
        "SELECT e.* FROM fingerprints f JOIN experiments e ON e.id = f.experiment"
        " WHERE f.fingerprint = ? AND f.key = ? AND e.id != ?",
        *(fingerprint, swarm["key"], experiment),
    )
    return Duplicate(row["id"], "code", told(row, swarm["sigma"])) if row else None


def same_change(ledger: Ledger, swarm: sqlite3.Row, claim: Claim, changes: tuple[str, ...]) -> Duplicate | None:
    """The experiment that made this very change on another parent, unless there is reason to make it again.

    On the same parent the code itself tells, and tells exactly.
    """
    row = ledger.row(
        "SELECT e.* FROM changes c JOIN experiments e ON e.id = c.experiment"
        f" WHERE c.change IN ({','.join('?' * len(changes))}) AND c.key = ? AND e.parent != ? AND e.id != ?"
        " ORDER BY e.state = 'judged', e.created DESC",
        *(*changes, swarm["key"], claim.parent, claim.experiment),
    )
    return refusal(ledger, swarm, row, claim.idea.again, "change") if row else None


def like_change(ledger: Ledger, swarm: sqlite3.Row, claim: Claim, like: str) -> Duplicate | None:
    """The experiment whose change was found alike; it is shown once, and the researcher may insist."""
    if not like or claim.idea.again:
        return None
    row = ledger.one("SELECT * FROM experiments WHERE id = ?", like)
    advice = "What you have is very like it. Say in `again` what differs and why it matters, or propose something else."
    return Duplicate(like, "likeness", f"{told(row, swarm['sigma'])}\n{advice}")


def neighbours(ledger: Ledger, key: str) -> tuple[Change, ...]:
    """The newest changes under this key, with their words, those being tested among them."""
    listed: str | None = ledger.value(  # as one text, for so many rows would take long to fetch
        "SELECT group_concat(id || ' ' || source, char(10)) FROM"
        " (SELECT id, source FROM experiments INDEXED BY changes_by_age"
        " WHERE key = ? AND state != 'abandoned' AND diff != '' ORDER BY created DESC LIMIT ?)",
        *(key, NEIGHBOURS),
    )
    known, lines = ledger.memory.get("neighbours", {}), listed.split("\n") if listed else []
    ledger.memory["neighbours"] = {line: known.get(line) or _change(ledger, line) for line in lines}
    return tuple(ledger.memory["neighbours"].values())


def _change(ledger: Ledger, line: str) -> Change:
    """The change of the experiment that the line begins with."""
    experiment = line.split(" ")[0]
    row = ledger.one("SELECT diff, title || ' ' || rationale AS words FROM experiments WHERE id = ?", experiment)
    return Change(experiment, row["diff"], row["words"])


def set_code(ledger: Ledger, swarm: sqlite3.Row, experiment: str, code: Code) -> str:
    """The experiment is about this code from now on; what it was about before stays known as its own."""
    sha = store_source(ledger, code.source)
    ledger.execute(
        "INSERT OR IGNORE INTO fingerprints (fingerprint, key, experiment) VALUES (?, ?, ?)",
        *(code.fingerprint, swarm["key"], experiment),
    )
    for change in code.changes:
        ledger.execute(
            "INSERT OR IGNORE INTO changes (change, key, experiment) VALUES (?, ?, ?)",
            *(change, swarm["key"], experiment),
        )
    ledger.execute(
        "UPDATE experiments SET source = ?, added_size = ?, diff = ? WHERE id = ?",
        *(sha, code.added, printable(code.diff), experiment),
    )
    return sha


def legible(idea: Idea) -> Idea:
    """The idea as ledger, git and terminals can take it, whatever a researcher made of it."""
    title = one_line(printable(idea.title))[:TITLE] or "an idea without a title"
    category = one_line(printable(idea.category))[:TITLE]
    rationale, again = printable(idea.rationale)[:RATIONALE], one_line(printable(idea.again))[:AGAIN]
    return replace(idea, title=title, rationale=rationale, category=category, again=again)
