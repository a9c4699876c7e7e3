"""What a researcher is told before it has an idea, from one consistent state of the ledger."""

from __future__ import annotations

import json
import sqlite3

from swarm.board import evidence, program
from swarm.board.ledger import Ledger
from swarm.board.limits import plateau
from swarm.board.stock import OWN_MEAN, idea_of, interval, load_source, researcher_of, tip
from swarm.records import Briefing, Dossier, Finding, Idea, decode

KNOWN = 400  # findings told at most, newest first: a briefing stays small whatever the history
CATEGORIES = (
    "architecture",
    "learning rate",
    "schedule",
    "batch",
    "optimizer",
    "attention",
    "activation",
    "initialization",
    "regularization",
    "embedding",
    "normalization",
)


def brief(ledger: Ledger, swarm: sqlite3.Row, agent: str, text: str) -> Briefing:
    """The briefing of one agent; `text` is program.md, of which it reads what is for it."""
    tag, newest = swarm["tag"], tip(ledger, swarm["tag"])
    known, live = findings(ledger, swarm["key"]), _live(ledger, tag)
    tried = {finding.category for finding in known} | {idea.category for _, idea in live}
    noise = evidence.noise(ledger, swarm)
    own = ledger.value("SELECT category FROM agents WHERE tag = ? AND agent = ?", tag, agent)
    read, assigned = program.read(text, agent, researcher_of(swarm, agent), CATEGORIES)
    return Briefing(
        tag=tag,
        agent=agent,
        parent=load_source(ledger, newest["source"]),
        position=newest["position"],
        metric=swarm["metric"],
        direction=swarm["direction"],
        budget=swarm["budget"],
        baseline=evidence.mean(ledger, swarm, noise, swarm["base_source"]),
        best=evidence.mean(ledger, swarm, noise, newest["source"]),
        sigma=noise.sigma,
        program=read,
        findings=known,
        live=live,
        notes=tuple(row["text"] for row in ledger.rows("SELECT text FROM notes WHERE tag = ? ORDER BY id", tag)),
        category=assigned or own,
        untried=tuple(category for category in CATEGORIES if category not in tried),
        device=swarm["device"].split(":")[0],
        plateau=plateau(ledger, tag),
        last=_last(ledger, swarm, agent),
    )


def findings(ledger: Ledger, key: str) -> tuple[Finding, ...]:
    """What every judged experiment of this repository taught, newest first; other nights' too."""
    rows = ledger.rows(
        f"SELECT *, {OWN_MEAN} AS value FROM experiments WHERE state = 'judged' AND baseline = 0"
        " ORDER BY judged DESC LIMIT ?",
        KNOWN,
    )
    return tuple(_finding(row, key) for row in rows)


def dossier(ledger: Ledger, swarm: sqlite3.Row, experiment: str) -> Dossier | None:
    """Everything about one judged experiment, of any night; None where there is none of that id."""
    row = ledger.row(
        f"SELECT *, {OWN_MEAN} AS value FROM experiments WHERE id = ? AND state = 'judged' AND baseline = 0", experiment
    )
    if row is None:
        return None
    own = ledger.value(
        "SELECT result FROM runs WHERE experiment = ? AND source = ? AND result IS NOT NULL AND state != 'lost'"
        " ORDER BY started DESC LIMIT 1",
        *(experiment, row["source"]),
    )
    parents = ledger.value(
        "SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'measured'"
        " ORDER BY agent = ? DESC, started DESC LIMIT 1",
        *(row["tag"], row["parent"], row["owner"]),
    )
    return Dossier(
        _finding(row, swarm["key"]),
        row["rationale"],
        load_source(ledger, row["parent"]),
        load_source(ledger, row["source"]),
        decode(own) if own else None,
        decode(parents) if parents else None,
    )


def _last(ledger: Ledger, swarm: sqlite3.Row, agent: str) -> Dossier | None:
    """The agent's newest verdict."""
    experiment = ledger.value(
        "SELECT id FROM experiments WHERE tag = ? AND owner = ? AND state = 'judged' AND baseline = 0"
        " ORDER BY verdict DESC LIMIT 1",
        *(swarm["tag"], agent),
    )
    return dossier(ledger, swarm, experiment) if experiment else None


def _finding(row: sqlite3.Row, key: str) -> Finding:
    low, high = interval(row["gain"], row["se"])
    return Finding(
        experiment=row["id"],
        agent=row["agent"],
        title=row["title"],
        category=row["category"],
        status=row["status"],
        rung=row["rung"],
        reason=row["reason"],
        knobs=json.loads(row["knobs"]),
        value=row["value"],
        gain=row["gain"],
        low=low,
        high=high,
        n=row["n"],
        position=row["position"],
        comparable=row["key"] == key,
    )


def _live(ledger: Ledger, tag: str) -> tuple[tuple[str, Idea], ...]:
    rows = ledger.rows(
        "SELECT * FROM experiments WHERE tag = ? AND baseline = 0 AND state IN ('claimed', 'drafted', 'testing')", tag
    )
    return tuple((row["owner"], idea_of(row)) for row in rows)
