"""The experiments of a repository: claimed, drafted, tested, judged; and what is known of their code and changes."""

from __future__ import annotations

from collections.abc import Collection

from swarm.ledger.database import Ledger
from swarm.ledger.rows import ExperimentRow, ExperimentState
from swarm.ledger.transaction import Transaction
from swarm.records import Rung

# Of a row of experiments, in the metric's units: the plain mean of its own runs of its newest code. Later refreshes and
# closing runs of that code do not count: the number stands in a commit's message, and must not change.
# A step that restores an earlier one has that one's; a baseline that needed no run of its own has the other agents'.
OWN_MEAN = """coalesce((SELECT avg(runs.value) FROM runs
    WHERE runs.experiment = coalesce(experiments.restores, experiments.id)
    AND runs.source = experiments.source AND runs.state = 'measured'
    AND runs.purpose IN ('baseline', 'first', 'replicate')),
    (SELECT avg(runs.value) FROM runs WHERE experiments.baseline = 1 AND experiments.status = 'keep'
    AND runs.tag = experiments.tag AND runs.source = experiments.source AND runs.state = 'measured'
    AND runs.purpose = 'baseline'))"""

# What is in quarantine: in SQL its rungs, and the code that one swarm (its tag is the parameter) has kept of it. Only
# the runs of that swarm were false: where another one starts from such code, it measures it anew.
FLAGGED = f"('{Rung.INVALID}', '{Rung.TAINTED}')"
FLAGGED_SOURCES = (
    "(SELECT source FROM experiments INDEXED BY experiments_flagged"
    f" WHERE status = 'keep' AND rung IN {FLAGGED} AND tag = ?)"
)

_LIVE = "('claimed', 'drafted', 'testing')"
_TESTING = "WHERE tag = ? AND state = 'testing' AND baseline = 0"


# -- reading -------------------------------------------------------------------------------------------------------


def experiment(ledger: Ledger, name: str) -> ExperimentRow:
    """KeyError where there is none of that id."""
    return ledger.the_record(ExperimentRow, "WHERE id = ?", name)


def experiments(ledger: Ledger, tag: str) -> list[ExperimentRow]:
    """All experiments of a swarm, abandoned ones too."""
    return ledger.records(ExperimentRow, "WHERE tag = ?", tag)


def judged(ledger: Ledger, tag: str) -> list[ExperimentRow]:
    """The judged experiments of a swarm, baselines too, in the order of their verdicts."""
    return ledger.records(ExperimentRow, "WHERE tag = ? AND state = 'judged' ORDER BY verdict", tag)


def newest_verdicts(ledger: Ledger, tag: str, most: int, *, baselines: bool) -> list[ExperimentRow]:
    """The experiments that were judged last, newest first; `baselines` count or do not."""
    ideas = "" if baselines else " AND baseline = 0"
    sql = f"WHERE tag = ? AND verdict IS NOT NULL{ideas} ORDER BY verdict DESC LIMIT ?"
    return ledger.records(ExperimentRow, sql, tag, most)


def newest_gains(tx: Transaction, most: int) -> list[float]:
    """The gains of the newest judged ideas, newest first."""
    rows = tx.ledger.rows(
        "SELECT gain FROM experiments INDEXED BY verdicts_in_order WHERE tag = ? AND verdict IS NOT NULL"
        " AND baseline = 0 AND restores IS NULL AND gain IS NOT NULL ORDER BY verdict DESC LIMIT ?",
        *(tx.tag, most),
    )
    return [row["gain"] for row in rows]


def judged_ideas(ledger: Ledger) -> int:
    """How many ideas were judged in this repository, by whatever swarm."""
    return ledger.value("SELECT count(*) FROM experiments WHERE state = 'judged' AND baseline = 0")


def verdicts(ledger: Ledger, tag: str) -> int:
    """How many verdicts the swarm has given."""
    return ledger.value("SELECT max(verdict) FROM experiments WHERE tag = ?", tag) or 0


def baseline(ledger: Ledger, tag: str) -> str:
    """The baseline experiment that stands for the untouched code: the first whose runs gave a number."""
    return ledger.value(
        "SELECT id FROM experiments WHERE tag = ? AND baseline = 1 ORDER BY status = 'crash', length(agent), agent",
        tag,
    )


def baseline_of(tag: str, agent: str) -> str:
    """The id of the agent's own baseline experiment."""
    return f"{tag}-{agent}-0000"


def is_kept(row: ExperimentRow, kept_from: float) -> bool:
    """Whether a step of the trunk is called a gain: by its chance where there is one, for a champion's whole line is
    confirmed, and not its last step. `kept_from` is the chance from which on the swarm's policy calls it so."""
    return row.rung is not Rung.CARRIED if row.real is None else row.real >= kept_from


def own_mean(ledger: Ledger, name: str) -> float | None:
    """The mean of an experiment's own runs (OWN_MEAN); None without a measured run."""
    return ledger.value(f"SELECT {OWN_MEAN} FROM experiments WHERE id = ?", name)


def draft_of(tx: Transaction, agent: str) -> ExperimentRow | None:
    """The agent's oldest draft that waits for its GPU."""
    return tx.ledger.record(
        ExperimentRow, "WHERE tag = ? AND state = 'drafted' AND owner = ? ORDER BY created", tx.tag, agent
    )


def tested_by(tx: Transaction, agent: str) -> ExperimentRow | None:
    """The agent's experiment that is being tested."""
    return tx.ledger.record(ExperimentRow, f"{_TESTING} AND owner = ?", tx.tag, agent)


def testers(tx: Transaction) -> set[str]:
    """The owners of the experiments that are being tested."""
    return {row["owner"] for row in tx.ledger.rows(f"SELECT DISTINCT owner FROM experiments {_TESTING}", tx.tag)}


def tested(tx: Transaction) -> list[ExperimentRow]:
    """The experiments that are being tested, oldest first."""
    return tx.ledger.records(ExperimentRow, f"{_TESTING} ORDER BY created", tx.tag)


def any_tested(tx: Transaction) -> bool:
    return bool(tx.ledger.value(f"SELECT EXISTS (SELECT 1 FROM experiments {_TESTING})", tx.tag))


def testers_of_baselines(tx: Transaction) -> set[str]:
    """The agents whose baseline is being tested."""
    rows = tx.ledger.rows("SELECT owner FROM experiments WHERE tag = ? AND baseline = 1 AND state = 'testing'", tx.tag)
    return {row["owner"] for row in rows}


def live(ledger: Ledger, tag: str) -> list[tuple[str, str]]:
    """(id, owner) of every idea that is being drafted, waits, or is tested."""
    rows = ledger.rows(f"SELECT id, owner FROM experiments WHERE tag = ? AND baseline = 0 AND state IN {_LIVE}", tag)
    return [(row["id"], row["owner"]) for row in rows]


def live_owners(tx: Transaction) -> list[tuple[str, bool]]:
    """(owner, whether it is a baseline) of everything that may still come to a verdict."""
    rows = tx.ledger.rows(f"SELECT owner, baseline FROM experiments WHERE tag = ? AND state IN {_LIVE}", tx.tag)
    return [(row["owner"], bool(row["baseline"])) for row in rows]


def begun(tx: Transaction, *states: ExperimentState) -> int:
    """How many ideas of this swarm are in these states; a step that restores an earlier one is no idea."""
    marks = ", ".join("?" * len(states))
    return tx.ledger.value(
        f"SELECT count(*) FROM experiments WHERE tag = ? AND baseline = 0 AND restores IS NULL AND state IN ({marks})",
        *(tx.tag, *states),
    )


def newest_of(ledger: Ledger, tag: str, agent: str) -> str | None:
    """The id of the agent's idea that was judged last."""
    return ledger.value(
        "SELECT id FROM experiments WHERE tag = ? AND owner = ? AND state = 'judged' AND baseline = 0"
        " ORDER BY verdict DESC LIMIT 1",
        *(tag, agent),
    )


def judged_with_source(ledger: Ledger, name: str) -> ExperimentRow | None:
    """A judged idea whose code is in the ledger; None where there is none of that id, or it was imported."""
    return ledger.record(
        ExperimentRow,
        "WHERE id = ? AND state = 'judged' AND baseline = 0 AND source IN (SELECT sha FROM sources)",
        name,
    )


def newest_ids(ledger: Ledger, most: int) -> str | None:
    """The newest judged ideas, a line each with id and rung: as one text, for so many rows would take long to fetch."""
    return ledger.value(_LISTED.format("experiments_by_verdict", ""), most)


def newest_kept_ids(ledger: Ledger, most: int) -> str | None:
    """The same of the kept ones alone."""
    return ledger.value(_LISTED.format("experiments_kept", " AND status = 'keep'"), most)


def judged_before(ledger: Ledger, name: str, most: int) -> list[str]:
    """The ids of the judged ideas before this one, newest first."""
    rows = ledger.rows(
        "SELECT id FROM experiments INDEXED BY experiments_by_verdict WHERE state = 'judged' AND baseline = 0"
        " AND (judged, id) < (SELECT judged, id FROM experiments WHERE id = ?) ORDER BY judged DESC, id DESC LIMIT ?",
        name,
        most,
    )
    return [row["id"] for row in rows]


_LISTED = (
    "SELECT group_concat(id || ' ' || rung, char(10)) FROM (SELECT id, rung FROM experiments INDEXED BY {}"
    " WHERE state = 'judged' AND baseline = 0{} ORDER BY judged DESC, id DESC LIMIT ?)"
)


def count_by_outcome(ledger: Ledger) -> list[tuple[str, str, int]]:
    """(category, status, number) of all judged ideas there ever were."""
    rows = ledger.rows(
        "SELECT category, status, count(*) AS number FROM experiments WHERE state = 'judged' AND baseline = 0"
        " GROUP BY category, status"
    )
    return [(row["category"], row["status"], row["number"]) for row in rows]


def flagged_keeps(ledger: Ledger) -> list[tuple[str, str]]:
    """(category, rung) of every keep that is in quarantine."""
    rows = ledger.rows(
        "SELECT category, rung FROM experiments INDEXED BY experiments_flagged WHERE status = 'keep'"
        f" AND rung IN {FLAGGED} AND state = 'judged' AND baseline = 0"
    )
    return [(row["category"], row["rung"]) for row in rows]


# -- what was tried before -----------------------------------------------------------------------------------------


def same_intent(tx: Transaction, intent: str) -> ExperimentRow | None:
    """The experiment that has or had this very idea, live ones first."""
    return tx.ledger.record(
        ExperimentRow,
        "WHERE intent = ? AND key = ? AND baseline = 0 AND state != 'abandoned'"
        " ORDER BY state = 'judged', created DESC",
        *(intent, tx.swarm.key),
    )


def same_code(tx: Transaction, fingerprint: str, other_than: str) -> ExperimentRow | None:
    """The other experiment that is about this very code."""
    return tx.ledger.record(
        ExperimentRow,
        "FROM fingerprints f JOIN experiments t ON t.id = f.experiment"
        " WHERE f.fingerprint = ? AND f.key = ? AND t.id != ?",
        *(fingerprint, tx.swarm.key, other_than),
    )


def same_change(tx: Transaction, changes: Collection[str], parent: str, other_than: str) -> ExperimentRow | None:
    """The experiment that made one of these changes on another parent, live ones first."""
    return tx.ledger.record(
        ExperimentRow,
        "FROM changes c JOIN experiments t ON t.id = c.experiment"
        f" WHERE c.change IN ({','.join('?' * len(changes))}) AND c.key = ? AND t.parent != ? AND t.id != ?"
        " ORDER BY t.state = 'judged', t.created DESC",
        *(*changes, tx.swarm.key, parent, other_than),
    )


def newest_changes(ledger: Ledger, key: str, most: int) -> list[str]:
    """The ids and sources of the newest changes under this key, a line each, those being tested among them."""
    listed: str | None = ledger.value(  # as one text, for so many rows would take long to fetch
        "SELECT group_concat(id || ' ' || source, char(10)) FROM"
        " (SELECT id, source FROM experiments INDEXED BY changes_by_age"
        " WHERE key = ? AND state != 'abandoned' AND diff != '' ORDER BY created DESC LIMIT ?)",
        *(key, most),
    )
    return listed.split("\n") if listed else []
