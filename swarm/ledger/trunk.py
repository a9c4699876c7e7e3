"""The trunk of a swarm, step by step: its tip, its champion, and what was kept on it."""

from __future__ import annotations

from collections.abc import Collection

from swarm.ledger.agents import move_branch
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import FLAGGED_SOURCES
from swarm.ledger.rows import ExperimentRow, TrunkStep
from swarm.ledger.swarms import measured_runs
from swarm.ledger.transaction import Transaction
from swarm.records import Rung


def steps(ledger: Ledger, tag: str) -> list[TrunkStep]:
    """All steps, the baseline first."""
    return ledger.records(TrunkStep, "WHERE tag = ? ORDER BY position", tag)


def tip(ledger: Ledger, tag: str) -> TrunkStep:
    """The newest step of the trunk; KeyError where there is no such swarm."""
    return ledger.the_record(TrunkStep, "WHERE tag = ? ORDER BY position DESC LIMIT 1", tag)


def champion(ledger: Ledger, tag: str) -> TrunkStep | None:
    """The step of the trunk that is the best confirmed; None while the baseline leads."""
    return ledger.record(
        TrunkStep,
        "FROM experiments INDEXED BY experiments_crowned CROSS JOIN trunk t"
        " ON t.tag = experiments.tag AND t.experiment = experiments.id"
        " WHERE experiments.tag = ? AND experiments.rung = 'champion'",
        tag,
    )


def leader(ledger: Ledger, tag: str) -> TrunkStep:
    """The step that the swarm is judged by: the champion, or else the newest. Never chosen by its own number."""
    return champion(ledger, tag) or tip(ledger, tag)


def source_at(tx: Transaction, position: int) -> str:
    return tx.ledger.value("SELECT source FROM trunk WHERE tag = ? AND position = ?", tx.tag, position)


def standing(ledger: Ledger, tag: str) -> tuple[str, ...]:
    """The experiments whose edits the newest state consists of, oldest first: without what was taken back."""
    line = line_to(ledger, tag, tip(ledger, tag).position)
    return tuple(step.experiment for step in line if step.experiment)


def line_to(ledger: Ledger, tag: str, position: int) -> list[TrunkStep]:
    """The steps that the state at a position consists of, oldest first, the baseline before them: without those that
    were taken back."""
    line: dict[str, TrunkStep] = {}  # by source
    for step in steps(ledger, tag):
        if step.position > position:
            break
        line.setdefault(step.source, step)
        while next(reversed(line)) != step.source:
            line.popitem()
    return list(line.values())


def step_of(tx: Transaction, source: str) -> TrunkStep:
    """The newest step with this code; KeyError where there is none."""
    return tx.ledger.the_record(TrunkStep, "WHERE tag = ? AND source = ? ORDER BY position DESC", tx.tag, source)


def clean_steps(tx: Transaction, below: int, other_than: str, most: int) -> list[TrunkStep]:
    """The newest steps under a position that have other code and are not in quarantine."""
    return tx.ledger.records(
        TrunkStep,
        f"WHERE tag = ? AND position < ? AND source != ? AND source NOT IN {FLAGGED_SOURCES}"
        " ORDER BY position DESC LIMIT ?",
        *(tx.tag, below, other_than, tx.tag, most),
    )


def newest_clean_step(tx: Transaction, infected: Collection[str]) -> TrunkStep:
    """The newest step that is neither in quarantine nor among these sources."""
    clean = tx.ledger.records(
        TrunkStep,
        f"WHERE tag = ? AND source NOT IN {FLAGGED_SOURCES} ORDER BY position DESC",
        *(tx.tag, tx.tag),
    )
    return next(step for step in clean if step.source not in infected)


def kept_experiments(tx: Transaction) -> list[ExperimentRow]:
    """The experiments of the trunk's steps, oldest first."""
    return tx.ledger.records(
        ExperimentRow,
        "FROM trunk JOIN experiments t ON t.id = trunk.experiment WHERE trunk.tag = ? ORDER BY trunk.position",
        tx.tag,
    )


def original(ledger: Ledger, step: TrunkStep) -> str:
    """The experiment that first brought the step's code: one that restores it is not to be praised for it."""
    name = step.experiment
    while restored := ledger.value("SELECT restores FROM experiments WHERE id = ?", name):
        name = restored
    return name or ""


def categories_until(ledger: Ledger, tag: str, position: int | None) -> dict[str, str]:
    """{experiment: category} of the trunk's steps up to a position; None is all of them."""
    rows = ledger.rows(
        "SELECT experiments.id, category FROM trunk JOIN experiments ON experiments.id = trunk.experiment"
        " WHERE trunk.tag = ?1 AND (?2 IS NULL OR trunk.position <= ?2)",
        *(tag, position),
    )
    return {row["id"]: row["category"] for row in rows}


def newest_keep(ledger: Ledger, tag: str) -> float:
    """When the trunk took the last step that is called a gain, in unix seconds; its beginning where there is none."""
    return ledger.value(
        "SELECT max(trunk.at) FROM trunk LEFT JOIN experiments ON experiments.id = trunk.experiment WHERE trunk.tag = ?"
        " AND (trunk.position = 0 OR (experiments.restores IS NULL AND experiments.rung IN (?, ?, ?)))",
        *(tag, Rung.KEPT, Rung.CONFIRMED, Rung.CHAMPION),
    )


def advance(tx: Transaction, experiment: ExperimentRow, position: int) -> None:
    """Keep, then fast-forward: the trunk takes the experiment, and its agent's branch with it."""
    step = {"position": position, "source": experiment.source, "experiment": experiment.id}
    tx.ledger.insert("trunk", tag=tx.tag, at=tx.now, measured=measured_runs(tx), **step)
    tx.ledger.execute("UPDATE experiments SET position = ? WHERE id = ?", position, experiment.id)
    move_branch(tx, experiment.agent, position)


def parent_experiment(ledger: Ledger, tag: str, experiment: str) -> str | None:
    """The experiment of the trunk whose code this one started from; None where that was the baseline."""
    return ledger.value(
        "SELECT trunk.experiment FROM trunk JOIN experiments ON experiments.parent = trunk.source"
        " WHERE trunk.tag = ? AND experiments.id = ? ORDER BY trunk.position",
        *(tag, experiment),
    )
