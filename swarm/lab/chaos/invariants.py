"""The invariants of a swarm that has ended, whatever faults it saw: checked on ledger, git, results.tsv and logs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm.execution.summary import parse_summary
from swarm.history.repository import History
from swarm.ledger.database import Ledger


@dataclass(frozen=True, slots=True)
class Broken:
    """What does not hold; all empty where everything does."""

    lost: tuple[str, ...]  # experiments that were started and never ended; trainings that the ledger never heard of
    counted_twice: tuple[str, ...]  # runs, verdicts and rows of results.tsv that are there more than once
    stuck_claims: tuple[str, ...]  # ideas that nobody works on and nobody else may have
    duplicates_run: tuple[str, ...]  # ideas or code that were tried twice
    refs_wrong: tuple[str, ...]  # branches, refs, rows and values that are not what the ledger says


def check(root: Path, tag: str) -> Broken:
    """Looks at an ended swarm in `root`."""
    with contextlib.closing(Ledger(root / ".swarm" / "ledger.sqlite")) as ledger:
        return Broken(
            lost=tuple(_lost(ledger, root, tag)),
            counted_twice=tuple(_twice(ledger, root, tag)),
            stuck_claims=tuple(
                _ids(ledger, "SELECT id FROM experiments WHERE state IN ('claimed', 'drafted')")
                + _ids(ledger, "SELECT id FROM runs WHERE state = 'running'")
            ),
            duplicates_run=tuple(_duplicates(ledger)),
            refs_wrong=tuple(_wrong(ledger, root, tag)),
        )


def given_up(root: Path) -> int:
    """How many experiments the swarm gave up, and said so, since one run was lost time and again."""
    with contextlib.closing(Ledger(root / ".swarm" / "ledger.sqlite")) as ledger:
        return len(_ids(ledger, "SELECT id FROM experiments WHERE state = 'abandoned' AND reason LIKE 'lost %'"))


def _lost(ledger: Ledger, root: Path, tag: str) -> Iterator[str]:
    yield from _ids(
        ledger,
        "SELECT id FROM experiments WHERE state NOT IN ('judged', 'abandoned') AND id IN (SELECT experiment FROM runs)",
    )
    yield from _ids(ledger, "SELECT id FROM experiments WHERE state = 'abandoned' AND reason = ''")
    known = {f"{row['id']}.{row['attempt']}" for row in ledger.rows("SELECT id, attempt FROM runs")}
    logs = (root / ".swarm" / tag).glob("*/logs/*.log")
    yield from (log.stem for log in logs if log.stem not in known)


def _twice(ledger: Ledger, root: Path, tag: str) -> Iterator[str]:
    yield from _ids(ledger, "SELECT id FROM runs WHERE state != 'lost' GROUP BY id HAVING count(*) > 1")
    yield from _ids(ledger, "SELECT experiment AS id FROM trunk WHERE position > 0 GROUP BY id HAVING count(*) > 1")
    yield from _ids(ledger, "SELECT max(id) AS id FROM experiments GROUP BY verdict HAVING verdict AND count(*) > 1")
    for agent in _ids(ledger, "SELECT agent AS id FROM agents"):
        judged = ledger.value("SELECT count(*) FROM experiments WHERE agent = ? AND state = 'judged'", agent)
        rows = len(_results(root, tag, agent))
        if rows > judged:
            yield f"{agent}: {rows} rows for {judged} verdicts"


def _duplicates(ledger: Ledger) -> list[str]:
    tried = "FROM experiments WHERE baseline = 0 AND state != 'abandoned'"
    return _ids(ledger, f"SELECT max(id) AS id {tried} GROUP BY intent, key HAVING count(*) > 1") + _ids(
        ledger, f"SELECT max(id) AS id {tried} AND source IS NOT NULL GROUP BY source, key HAVING count(*) > 1"
    )


def _wrong(ledger: Ledger, root: Path, tag: str) -> Iterator[str]:
    """Git, results.tsv and the logs against the ledger."""
    listed = History(root).repository.git.for_each_ref("--format=%(refname) %(objectname)")
    refs = dict(line.split(" ") for line in listed.splitlines())
    judged = ledger.rows("SELECT * FROM experiments WHERE state = 'judged' ORDER BY verdict")
    for row in judged:
        if row["commit_sha"] is None or refs.get(f"refs/experiments/{row['id']}") != row["commit_sha"]:
            yield f"refs/experiments/{row['id']}"
    commits = {row["id"]: row["commit_sha"] for row in judged}
    base = ledger.value("SELECT base_commit FROM swarms WHERE tag = ?", tag)
    steps = ledger.rows("SELECT position, experiment FROM trunk WHERE tag = ? ORDER BY position", tag)
    trunk = {row["position"]: commits.get(row["experiment"], base) for row in steps}
    places = {f"refs/heads/autoresearch/{tag}": max(trunk)}
    for row in ledger.rows("SELECT agent, position FROM agents WHERE tag = ?", tag):
        places[f"refs/heads/autoresearch/{tag}-{row['agent']}"] = row["position"]
        results = _results(root, tag, row["agent"])
        if results != [e["commit_sha"][:7] for e in judged if e["agent"] == row["agent"] and e["commit_sha"]]:
            yield f"{row['agent']}/results.tsv"
    yield from (name for name, position in places.items() if refs.get(name) != trunk[position])
    for row in ledger.rows("SELECT id, attempt, agent, value FROM runs WHERE state = 'measured'"):
        log = root / ".swarm" / tag / row["agent"] / "logs" / f"{row['id']}.{row['attempt']}.log"
        printed = log.read_text(errors="replace") if log.exists() else ""
        if parse_summary(printed, "val_bpb").get("val_bpb") != row["value"]:
            yield f"{row['id']}.{row['attempt']}: not the value that was printed"


def _results(root: Path, tag: str, agent: str) -> list[str]:
    """The first column of the agent's results.tsv."""
    path = root / ".swarm" / tag / agent / "results.tsv"
    return [line.split("\t")[0] for line in path.read_text().splitlines()[1:]] if path.exists() else []


def _ids(ledger: Ledger, sql: str) -> list[str]:
    return [row["id"] for row in ledger.rows(sql)]
