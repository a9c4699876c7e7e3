"""What a researcher is told before it has an idea, from one consistent state of the ledger."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import replace

from swarm.board import program, repeats
from swarm.board.findings import finding, findings
from swarm.board.limits import plateau
from swarm.codec import decode
from swarm.ledger import measurements
from swarm.ledger.database import Ledger
from swarm.ledger.queries import FLAGGED, OWN_MEAN, idea_of, load_source, researcher_of, tip
from swarm.records import Briefing, Dossier, Idea, Run

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
    known, live, tally = findings(ledger, swarm), _live(ledger, tag), _tally(ledger)
    tried = {category for category, _, _ in tally} | {idea.category for _, idea in live}
    noise = measurements.noise(ledger, swarm)
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
        baseline=measurements.mean(ledger, swarm, noise, swarm["base_source"]),
        best=measurements.mean(ledger, swarm, noise, newest["source"]),
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
        tally=tally,
    )


def _tally(ledger: Ledger) -> tuple[tuple[str, str, int], ...]:
    """How many experiments there were by category and status, the most first; a keep in quarantine is none."""
    counts = Counter[tuple[str, str]]()
    for row in ledger.rows(
        "SELECT category, status, count(*) AS number FROM experiments WHERE state = 'judged' AND baseline = 0"
        " GROUP BY category, status"
    ):
        counts[row["category"], row["status"]] = row["number"]
    for row in ledger.rows(
        "SELECT category, rung FROM experiments INDEXED BY experiments_flagged WHERE status = 'keep'"
        f" AND rung IN {FLAGGED} AND state = 'judged' AND baseline = 0"
    ):
        counts[row["category"], "keep"] -= 1
        counts[row["category"], row["rung"]] += 1
    return tuple((category, status, number) for (category, status), number in counts.most_common() if number)


def dossier(ledger: Ledger, swarm: sqlite3.Row, experiment: str) -> Dossier | None:
    """Everything about one judged experiment, of any night; None where there is none of that id, or it was imported."""
    row = ledger.row(
        f"SELECT *, {OWN_MEAN} AS value FROM experiments WHERE id = ? AND state = 'judged' AND baseline = 0"
        " AND source IN (SELECT sha FROM sources)",
        experiment,
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
        finding(swarm, row, repeats.changes_since(ledger, swarm["tag"], row["tag"], row["position"])),
        row["rationale"],
        load_source(ledger, row["parent"]),
        load_source(ledger, row["source"]),
        _told(own),
        _told(parents),
    )


def _told(result: str | None) -> Run | None:
    """A stored run as researchers may see it: without the hidden split's number."""
    run = decode(result) if result else None
    return replace(run, metrics=replace(run.metrics, hidden=None)) if run and run.metrics else run


def _last(ledger: Ledger, swarm: sqlite3.Row, agent: str) -> Dossier | None:
    """The agent's newest verdict."""
    experiment = ledger.value(
        "SELECT id FROM experiments WHERE tag = ? AND owner = ? AND state = 'judged' AND baseline = 0"
        " ORDER BY verdict DESC LIMIT 1",
        *(swarm["tag"], agent),
    )
    return dossier(ledger, swarm, experiment) if experiment else None


def _live(ledger: Ledger, tag: str) -> tuple[tuple[str, Idea], ...]:
    """Who tries what now. An idea never changes, so each is read once: with many agents, many are told to each."""
    owners = {
        row["id"]: row["owner"]
        for row in ledger.rows(
            "SELECT id, owner FROM experiments"
            " WHERE tag = ? AND baseline = 0 AND state IN ('claimed', 'drafted', 'testing')",
            tag,
        )
    }
    known: dict[str, Idea] = ledger.memory.get("live", {})
    ledger.memory["live"] = {name: known.get(name) or _idea(ledger, name) for name in owners}
    return tuple((owner, ledger.memory["live"][name]) for name, owner in owners.items())


def _idea(ledger: Ledger, experiment: str) -> Idea:
    return idea_of(ledger.one("SELECT * FROM experiments WHERE id = ?", experiment))
