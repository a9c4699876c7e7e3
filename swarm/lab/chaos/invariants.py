"""The invariants of a swarm that has ended, whatever faults it saw: checked on ledger, git, results.tsv and logs."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm.execution.reading.summary import read_printed
from swarm.history.git import Git
from swarm.ledger import audit
from swarm.ledger.agents import agents
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import judged
from swarm.ledger.rows import RunState
from swarm.ledger.runs import all_runs
from swarm.ledger.transaction import of_swarm
from swarm.ledger.trunk import steps


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
            stuck_claims=tuple(audit.left_open(ledger)),
            duplicates_run=tuple(audit.tried_twice(ledger)),
            refs_wrong=tuple(_wrong(ledger, root, tag)),
        )


def given_up(root: Path) -> int:
    """How many experiments the swarm gave up, and said so, since one run was lost time and again."""
    with contextlib.closing(Ledger(root / ".swarm" / "ledger.sqlite")) as ledger:
        return len(audit.given_up(ledger))


def _lost(ledger: Ledger, root: Path, tag: str) -> Iterator[str]:
    yield from audit.never_ended(ledger)
    known = {f"{run.id}.{run.attempt}" for run in all_runs(ledger, tag)}
    logs = (root / ".swarm" / tag).glob("*/logs/*.log")
    yield from (log.stem for log in logs if log.stem not in known)


def _twice(ledger: Ledger, root: Path, tag: str) -> Iterator[str]:
    yield from audit.counted_twice(ledger)
    verdicts = Counter(row.agent for row in judged(ledger, tag))
    for agent in agents(ledger, tag):
        rows = len(_results(root, tag, agent.agent))
        if rows > verdicts[agent.agent]:
            yield f"{agent.agent}: {rows} rows for {verdicts[agent.agent]} verdicts"


def _wrong(ledger: Ledger, root: Path, tag: str) -> Iterator[str]:
    """Git, results.tsv and the logs against the ledger."""
    listed = Git(root).text("for-each-ref", "--format=%(refname) %(objectname)")
    refs = dict(line.split(" ") for line in listed.splitlines())
    rows = judged(ledger, tag)
    for row in rows:
        if row.commit_sha is None or refs.get(f"refs/experiments/{row.id}") != row.commit_sha:
            yield f"refs/experiments/{row.id}"
    commits = {row.id: row.commit_sha for row in rows}
    base = of_swarm(ledger, tag).swarm.base_commit
    trunk = {step.position: commits.get(step.experiment or "", base) for step in steps(ledger, tag)}
    places = {f"refs/heads/autoresearch/{tag}": max(trunk)}
    for agent in agents(ledger, tag):
        places[f"refs/heads/autoresearch/{tag}-{agent.agent}"] = agent.position
        own = [row.commit_sha[:7] for row in rows if row.agent == agent.agent and row.commit_sha]
        if _results(root, tag, agent.agent) != own:
            yield f"{agent.agent}/results.tsv"
    yield from (name for name, position in places.items() if refs.get(name) != trunk[position])
    for run in all_runs(ledger, tag):
        if run.state is not RunState.MEASURED:
            continue
        log = root / ".swarm" / tag / run.agent / "logs" / f"{run.id}.{run.attempt}.log"
        printed = log.read_text(errors="replace") if log.exists() else ""
        if read_printed(printed, ["val_bpb"]).values.get("val_bpb") != run.value:
            yield f"{run.id}.{run.attempt}: not the value that was printed"


def _results(root: Path, tag: str, agent: str) -> list[str]:
    """The first column of the agent's results.tsv."""
    path = root / ".swarm" / tag / agent / "results.tsv"
    return [line.split("\t")[0] for line in path.read_text().splitlines()[1:]] if path.exists() else []
