"""How an experiment moves: claimed, drafted, tested, judged or abandoned; and from rung to rung."""

from __future__ import annotations

import json
from collections.abc import Iterable

from swarm.ledger.database import Ledger
from swarm.ledger.experiments import FLAGGED, FLAGGED_SOURCES, baseline_of
from swarm.ledger.rows import ExperimentState
from swarm.ledger.sources import store_source
from swarm.ledger.transaction import Transaction
from swarm.records import Code, Failure, Idea, Outcome, Rung, Verdict
from swarm.text import printable


def add_baseline(ledger: Ledger, tag: str, agent: str, key: str, sha: str, at: float) -> None:
    """The agent's baseline experiment, unless it has one."""
    ledger.execute(
        "INSERT OR IGNORE INTO experiments (id, tag, agent, owner, sequence, baseline, state, key, intent, title,"
        " rationale, category, knobs, parent, position, source, created)"
        " VALUES (?, ?, ?, ?, 0, 1, 'testing', ?, '', 'baseline', 'the untouched code', 'baseline', '{}', ?, 0, ?, ?)",
        *(baseline_of(tag, agent), tag, agent, agent, key, sha, sha, at),
    )


def add_experiment(
    tx: Transaction, agent: str, idea: Idea, state: ExperimentState, parent: str, position: int, **columns: object
) -> str:
    """A new experiment under the agent's name; gives its id. `columns` are further ones of its row."""
    tag = tx.tag
    sequence = 1 + tx.ledger.value("SELECT max(sequence) FROM experiments WHERE tag = ? AND agent = ?", tag, agent)
    name = f"{tag}-{agent}-{sequence:04d}"
    tx.ledger.insert(
        "experiments",
        id=name,
        tag=tag,
        agent=agent,
        owner=agent,
        sequence=sequence,
        state=state,
        key=tx.swarm.key,
        title=idea.title,
        rationale=idea.rationale,
        category=idea.category,
        knobs=json.dumps(dict(idea.knobs)),
        again=idea.again,
        parent=parent,
        position=position,
        created=tx.now,
        **columns,
    )
    return name


def set_code(tx: Transaction, name: str, code: Code) -> str:
    """The experiment is about this code from now on; what it was about before stays known as its own. Gives the sha."""
    sha, key = store_source(tx.ledger, code.source), tx.swarm.key
    tx.ledger.execute(
        "INSERT OR IGNORE INTO fingerprints (fingerprint, key, experiment) VALUES (?, ?, ?)",
        *(code.fingerprint, key, name),
    )
    for change in code.changes:
        tx.ledger.execute("INSERT OR IGNORE INTO changes (change, key, experiment) VALUES (?, ?, ?)", change, key, name)
    tx.ledger.execute(
        "UPDATE experiments SET source = ?, added_size = ?, diff = ?, outcome = NULL WHERE id = ?",
        *(sha, code.added, printable(code.diff), name),
    )
    return sha


def set_drafted(tx: Transaction, name: str) -> None:
    tx.ledger.execute("UPDATE experiments SET state = 'drafted' WHERE id = ?", name)


def set_testing(tx: Transaction, name: str) -> None:
    tx.ledger.execute("UPDATE experiments SET state = 'testing', started = ? WHERE id = ?", tx.now, name)


def set_owner(tx: Transaction, name: str, agent: str) -> None:
    tx.ledger.execute("UPDATE experiments SET owner = ? WHERE id = ?", agent, name)


def set_parent(tx: Transaction, name: str, parent: str, position: int) -> None:
    """The experiment continues on another step of the trunk."""
    tx.ledger.execute("UPDATE experiments SET parent = ?, position = ? WHERE id = ?", parent, position, name)


def set_failure(tx: Transaction, name: str, failure: Failure | None, reason: str) -> None:
    """Why the newest run of an experiment that may still be mended gave no number."""
    tx.ledger.execute("UPDATE experiments SET failure = ?, reason = ? WHERE id = ?", failure, reason, name)


def count_repair(tx: Transaction, name: str) -> None:
    tx.ledger.execute("UPDATE experiments SET repairs = repairs + 1 WHERE id = ?", name)


def set_evidence(tx: Transaction, name: str, verdict: Verdict) -> None:
    """What is known so far of an experiment that is not judged yet."""
    tx.ledger.execute(
        "UPDATE experiments SET gain = ?, se = ?, n = ?, reason = ?, refresh = ?, outcome = ? WHERE id = ?",
        *(verdict.gain, verdict.se, verdict.n, verdict.reason, int(verdict.refresh)),
        *(verdict.outcome if verdict.outcome is Outcome.UNCHECKED else None, name),
    )


def set_verdict(tx: Transaction, name: str, verdict: Verdict, failure: Failure | None) -> None:
    """The experiment is judged, as the swarm's next verdict."""
    newest = "SELECT max(verdict) FROM experiments INDEXED BY verdicts_in_order WHERE tag = ? AND verdict IS NOT NULL"
    order = 1 + (tx.ledger.value(newest, tx.tag) or 0)
    tx.ledger.execute(
        "UPDATE experiments SET state = 'judged', status = ?, rung = ?, gain = ?, se = ?, n = ?, reason = ?,"
        " outcome = ?, failure = ?, judged = ?, verdict = ?, real = ?, real_at_verdict = ? WHERE id = ?",
        *(verdict.status, verdict.rung, verdict.gain, verdict.se, verdict.n, verdict.reason),
        *(verdict.outcome, failure, tx.now, order, verdict.real, verdict.real, name),
    )


def set_commits(ledger: Ledger, commits: dict[str, str]) -> None:
    """Which commits the history made: {experiment id: sha}."""
    for name, sha in commits.items():
        ledger.execute("UPDATE experiments SET commit_sha = ? WHERE id = ?", sha, name)


def set_outcome(tx: Transaction, name: str, outcome: Outcome) -> None:
    tx.ledger.execute("UPDATE experiments SET outcome = ? WHERE id = ?", outcome, name)


def forget_commit(tx: Transaction, name: str) -> None:
    """The history makes the experiment's commit anew: its verdict is another one now."""
    tx.ledger.execute("UPDATE experiments SET commit_sha = NULL WHERE id = ?", name)


def abandon(ledger: Ledger, name: str, reason: str) -> None:
    """The experiment is as if it had never been thought of: its idea and its code may be tried again."""
    ledger.execute("UPDATE experiments SET state = 'abandoned', reason = ? WHERE id = ?", reason, name)
    for known in ("fingerprints", "changes"):
        ledger.execute(f"DELETE FROM {known} WHERE experiment = ?", name)


def abandon_all(tx: Transaction, owner: str, reason: str, *states: ExperimentState) -> bool:
    """The owner's experiments in these states are abandoned; gives whether there was any."""
    marks = ",".join("?" * len(states))
    held = tx.ledger.rows(
        f"SELECT id FROM experiments WHERE tag = ? AND owner = ? AND state IN ({marks})", tx.tag, owner, *states
    )
    for row in held:
        abandon(tx.ledger, row["id"], reason)
    return bool(held)


# -- rungs ---------------------------------------------------------------------------------------------------------


def confirm_kept(tx: Transaction, name: str) -> None:
    """An experiment that stands on the trunk is confirmed; one on another rung stays there."""
    standing = (Rung.CARRIED, Rung.KEPT)
    tx.ledger.execute(
        "UPDATE experiments SET rung = ? WHERE id = ? AND rung IN (?, ?)", Rung.CONFIRMED, name, *standing
    )


def set_chance(tx: Transaction, name: str, real: float, kept_from: float) -> Rung | None:
    """The chance, as it is known now, that a step is a real gain; gives the rung that it moved to, if it moved."""
    rung = tx.ledger.one("SELECT rung FROM experiments WHERE id = ?", name)["rung"]
    moved = Rung.KEPT if real >= kept_from else Rung.CARRIED
    moves = rung in (Rung.CARRIED, Rung.KEPT) and rung != moved
    tx.ledger.execute("UPDATE experiments SET real = ?, rung = ? WHERE id = ?", real, moved if moves else rung, name)
    return moved if moves else None


def crown(tx: Transaction, name: str) -> None:
    """The best of the confirmed is champion; who was it before stays confirmed."""
    tx.ledger.execute(
        "UPDATE experiments SET rung = ? WHERE tag = ? AND rung = ?", Rung.CONFIRMED, tx.tag, Rung.CHAMPION
    )
    tx.ledger.execute("UPDATE experiments SET rung = ? WHERE id = ?", Rung.CHAMPION, name)


def crown_anew(tx: Transaction) -> None:
    """Where the champion fell, the newest of those that stay confirmed leads."""
    tx.ledger.execute(
        "UPDATE experiments SET rung = ?1 WHERE id = (SELECT id FROM experiments WHERE tag = ?2 AND rung = ?3"
        " ORDER BY position DESC LIMIT 1)"
        " AND NOT EXISTS (SELECT 1 FROM experiments WHERE tag = ?2 AND rung = ?1)",
        *(Rung.CHAMPION, tx.tag, Rung.CONFIRMED),
    )


def undo_after(tx: Transaction, position: int) -> None:
    """The steps of the trunk after that position are undone, but for those in quarantine."""
    tx.ledger.execute(
        "UPDATE experiments SET rung = ? WHERE tag = ? AND status = 'keep' AND baseline = 0 AND position > ?"
        f" AND rung NOT IN {FLAGGED}",
        *(Rung.UNDONE, tx.tag, position),
    )


def set_quarantine(tx: Transaction, name: str, rung: Rung, why: str) -> None:
    tx.ledger.execute("UPDATE experiments SET rung = ?, quarantine = ? WHERE id = ?", rung, why, name)


def taint_built_on(tx: Transaction, sources: Iterable[str], why: str) -> None:
    """Every judged idea whose parent is one of these sources says nothing any more."""
    parents = tuple(sources)
    tx.ledger.execute(
        "UPDATE experiments SET rung = ?, quarantine = ? WHERE tag = ? AND state = 'judged' AND baseline = 0"
        f" AND restores IS NULL AND parent IN ({', '.join('?' * len(parents))})",
        *(Rung.TAINTED, why, tx.tag, *parents),
    )


def taint_measured_beside_flagged(tx: Transaction, name: str) -> None:
    """The experiment says nothing where the newest of its runs was made beside code in quarantine."""
    tx.ledger.execute(
        "UPDATE experiments SET rung = ?, quarantine = 'measured beside code that was found invalid'"
        " WHERE id = ?2 AND (SELECT parent FROM runs WHERE experiment = ?2 AND state = 'measured'"
        f" ORDER BY started DESC LIMIT 1) IN {FLAGGED_SOURCES}",
        *(Rung.TAINTED, name, tx.tag),
    )
