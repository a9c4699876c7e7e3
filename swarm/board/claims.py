"""From idea to edit, inside the board's transaction: who has the right to an idea, and whose a piece of code is."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

from swarm.board.ledger import Ledger
from swarm.board.novelty import intent
from swarm.board.stock import abandon, store_source
from swarm.records import Claim, Duplicate, Idea, Source

TITLE, RATIONALE = 200, 10_000  # characters of an idea that are kept


def claim(
    ledger: Ledger, swarm: sqlite3.Row, agent: str, fence: int, idea: Idea, position: int, now: float
) -> Claim | Duplicate:
    """The exclusive right to try the idea from that trunk position; or who has it, or had it, and what came of it."""
    tag, key, idea = swarm["tag"], swarm["key"], legible(idea)
    meant = intent(idea)
    earlier = ledger.row(
        "SELECT * FROM experiments WHERE intent = ? AND key = ? AND baseline = 0 AND state != 'abandoned'"
        " ORDER BY created DESC",
        *(meant, key),
    )
    if earlier:
        return Duplicate(earlier["id"], "idea", _told(earlier))
    sequence = 1 + ledger.value("SELECT max(sequence) FROM experiments WHERE tag = ? AND agent = ?", tag, agent)
    parent = ledger.value("SELECT source FROM trunk WHERE tag = ? AND position = ?", tag, position)
    experiment = f"{tag}-{agent}-{sequence:04d}"
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
    return Duplicate(row["id"], "code", _told(row)) if row else None


def set_code(
    ledger: Ledger, swarm: sqlite3.Row, experiment: str, source: Source, fingerprint: str, added_size: int
) -> str:
    """The experiment is about this source from now on; what it was about before stays known as its own."""
    sha = store_source(ledger, source)
    ledger.execute(
        "INSERT OR IGNORE INTO fingerprints (fingerprint, key, experiment) VALUES (?, ?, ?)",
        *(fingerprint, swarm["key"], experiment),
    )
    ledger.execute("UPDATE experiments SET source = ?, added_size = ? WHERE id = ?", sha, added_size, experiment)
    return sha


def legible(idea: Idea) -> Idea:
    """The idea as ledger, git and terminals can take it, whatever a researcher made of it."""
    title = " ".join(shown(idea.title).split())[:TITLE] or "an idea without a title"
    category = " ".join(shown(idea.category).split())[:TITLE]
    return replace(idea, title=title, rationale=shown(idea.rationale)[:RATIONALE], category=category)


def shown(text: str) -> str:
    """Text without control characters and half characters."""
    whole = text.encode("utf-8", "replace").decode()
    return "".join(c if c == "\n" or c.isprintable() else " " for c in whole)


def _told(row: sqlite3.Row) -> str:
    """One line about an experiment, for whoever wants to repeat it."""
    waiting = {"claimed": "being drafted", "drafted": "waits for its GPU"}
    came = row["reason"] or waiting.get(row["state"], "being tested")
    return f"{row['id']} ({row['title']}): {row['status'] or row['state']}, {came}"
