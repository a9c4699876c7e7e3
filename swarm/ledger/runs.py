"""The runs of a swarm: entering one, storing its result, and what is asked about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from swarm.codec import encode
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import FLAGGED_SOURCES
from swarm.ledger.rows import ExperimentRow, RunRow, RunState
from swarm.ledger.transaction import Transaction
from swarm.records import Failure, Measure, Metrics, Purpose, Run

# Run k of anything has seed 1000 + k. Fresh evidence never shares a seed with what was selected, nor with other fresh
# evidence: the closing wave has seeds of its own, and so has every confirmation.
SELECTION_SEEDS, CLOSING_SEEDS, CONFIRM_SEEDS = 1000, 9001, 10_000
ABLATION_SEEDS = 5_000_000  # of those that people ask for; at a swarm's end the closing wave's, beside its runs
CHECK_SEED = 1000  # of the project's checks, which are no evidence
SEEDS_EACH = 1000  # of a confirmation

JUDGED = (Purpose.BASELINE, Purpose.FIRST, Purpose.REPLICATE)  # the purposes of runs that an experiment is judged on


def confirmation_seed(confirmation: int, pair: int) -> int:
    """Both runs of a pair have it, and no other run ever."""
    return CONFIRM_SEEDS + SEEDS_EACH * confirmation + pair


def begin(
    tx: Transaction,
    agent: str,
    fence: int,
    experiment: ExperimentRow,
    purpose: Purpose,
    source: str,
    *,
    seed: int | None = None,
    confirmation: int | None = None,
) -> Measure:
    """Enters a run of that source: a lost one again under its own id and seed, or else a new one.

    `seed` None is the next one that may serve selection.
    """
    lost = tx.ledger.row(
        "SELECT id, seed, max(attempt) AS attempt FROM runs WHERE experiment = ? AND purpose = ? AND source = ?"
        " AND seed = coalesce(?, seed) AND confirmation IS ? GROUP BY id HAVING sum(state != 'lost') = 0",
        *(experiment.id, purpose, source, seed, confirmation),
    )
    if lost:
        run, number, attempt = lost["id"], lost["seed"], lost["attempt"] + 1
    else:
        used = tx.ledger.value("SELECT count(DISTINCT id) FROM runs WHERE experiment = ?", experiment.id)
        run, attempt = f"{experiment.id}.{used + 1}", 1
        number = _next_seed(tx, source) if seed is None else seed
    tx.ledger.insert(
        "runs",
        id=run,
        attempt=attempt,
        tag=tx.tag,
        experiment=experiment.id,
        agent=agent,
        purpose=purpose,
        seed=number,
        source=source,
        parent=experiment.parent,
        state=RunState.RUNNING,
        fence=fence,
        started=tx.now,
        confirmation=confirmation,
    )
    known = values_of(tx, experiment.parent) if source != experiment.parent else []
    return Measure(
        *(run, attempt, experiment.id, experiment.title, purpose, number, source, experiment.parent, tx.swarm.budget),
        bar=sum(known) / len(known) if known else None,
    )


def _next_seed(tx: Transaction, source: str) -> int:
    earlier = tx.ledger.value(
        "SELECT count(DISTINCT id) FROM runs WHERE tag = ? AND source = ? AND purpose NOT IN"
        " ('closing', 'confirm', 'ablate', 'check')",
        *(tx.tag, source),
    )
    return SELECTION_SEEDS + earlier + 1


# -- results -------------------------------------------------------------------------------------------------------


def attempt_of(ledger: Ledger, run: str, attempt: int) -> RunRow | None:
    """One attempt at a run; None where it was never entered."""
    return ledger.record(RunRow, "WHERE id = ? AND attempt = ?", run, attempt)


def is_stored(ledger: Ledger, source: str, started: float) -> bool:
    """Whether any swarm has the run of that code that began at that very moment."""
    return bool(ledger.value("SELECT count(*) FROM runs WHERE source = ? AND started = ?", source, started))


def running(ledger: Ledger, tag: str, agent: str) -> RunRow | None:
    """What the agent runs now, as far as the ledger knows."""
    return ledger.record(RunRow, "WHERE tag = ? AND agent = ? AND state = 'running'", tag, agent)


def all_runs(ledger: Ledger, tag: str) -> list[RunRow]:
    """Every run of a swarm, oldest first."""
    return ledger.records(RunRow, "WHERE tag = ? ORDER BY started, id, attempt", tag)


def all_running(ledger: Ledger, tag: str) -> list[RunRow]:
    return ledger.records(RunRow, "WHERE tag = ? AND state = 'running'", tag)


def store_result(tx: Transaction, run: Run, state: RunState, steps: float | None) -> None:
    """How a run ended; `steps` is how far it came, where that is known."""
    metrics = run.metrics
    tx.ledger.execute(
        "UPDATE runs SET state = ?, seconds = ?, training_seconds = ?, value = ?, steps = ?, audited = ?,"
        " peak_vram_mb = ?, sandboxed = ?, failure = ?, result = ? WHERE id = ? AND attempt = ?",
        *(state, run.seconds, run.training_seconds, metrics.value if metrics else None, steps),
        *(int(metrics.audited) if metrics else None, metrics.peak_vram_mb if metrics else None),
        *(int(run.sandboxed), run.failure, encode(run), run.run, run.attempt),
    )


def store_late(ledger: Ledger, run: Run) -> None:
    """A result that came after its run was given up: kept, and never counted."""
    ledger.execute("UPDATE runs SET late = ? WHERE id = ? AND attempt = ?", encode(run), run.run, run.attempt)


def set_state(ledger: Ledger, run: RunRow, state: RunState) -> None:
    ledger.execute("UPDATE runs SET state = ? WHERE id = ? AND attempt = ?", state, run.id, run.attempt)


def losses(ledger: Ledger, run: RunRow) -> tuple[int, int, int]:
    """How often a run was lost: to the machine, with its agent, and because it was stopped; fillers are stopped by
    design, which does not count."""
    row = ledger.one(
        "SELECT total(failure IN (?, ?)), total(failure IS NULL), total(failure = ? AND purpose != 'filler') FROM runs"
        " WHERE id = ? AND state = 'lost'",
        *(Failure.INFRASTRUCTURE, Failure.STALL, Failure.INTERRUPTED, run.id),
    )
    faults, silent, stopped = map(int, row)
    return faults, silent, stopped


# -- counting ------------------------------------------------------------------------------------------------------


def measured_of(ledger: Ledger, experiment: str) -> int:
    """How many runs of an experiment gave a number."""
    return ledger.value("SELECT count(*) FROM runs WHERE experiment = ? AND state = 'measured'", experiment)


def measured_baselines(ledger: Ledger, experiment: str) -> int:
    """The same of an experiment's runs as a baseline."""
    return ledger.value(
        "SELECT count(*) FROM runs WHERE experiment = ? AND purpose = 'baseline' AND state = 'measured'", experiment
    )


def is_measured(tx: Transaction, source: str) -> bool:
    """Whether any run of this code gave a number."""
    return bool(
        tx.ledger.value("SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", tx.tag, source)
    )


def is_running(tx: Transaction, source: str) -> bool:
    """Whether a run of this code is being made now."""
    return bool(
        tx.ledger.value("SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state = 'running'", tx.tag, source)
    )


def values_of(tx: Transaction, source: str) -> list[float]:
    """What the runs of this code measured, oldest first, as they stand in the ledger."""
    rows = tx.ledger.rows(
        "SELECT value FROM runs WHERE tag = ? AND source = ? AND state = 'measured' ORDER BY started, id",
        *(tx.tag, source),
    )
    return [row["value"] for row in rows]


def tried(tx: Transaction, source: str) -> int:
    """How many runs of this code were made or are being made; lost ones do not count."""
    return tx.ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND state != 'lost' AND purpose != 'check'",
        *(tx.tag, source),
    )


def refreshed(tx: Transaction) -> int:
    """How many runs measured a step of the trunk again, or are about to; lost ones do not count."""
    return tx.ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND state != 'lost' AND purpose = 'refresh'", tx.tag
    )


def attempted(tx: Transaction, source: str) -> int:
    """How often a run of this code was tried, failed ones too; but for fillers that gave way, as they are meant to."""
    return tx.ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND purpose != 'check'"
        " AND NOT (purpose = 'filler' AND state = 'lost')",
        *(tx.tag, source),
    )


def finished_runs(ledger: Ledger, tag: str, agent: str | None = None) -> int:
    """How many runs have ended with a number or a crash, of one agent or of all."""
    return ledger.value(
        "SELECT count(*) FROM runs WHERE tag = ? AND agent = ifnull(?, agent) AND state IN ('measured', 'crashed')",
        *(tag, agent),
    )


def at_least_measured_since(ledger: Ledger, tag: str, since: float, number: int) -> bool:
    """Whether so many runs that began after `since` gave a number."""
    found = ledger.rows(
        "SELECT 1 FROM runs INDEXED BY runs_by_start WHERE tag = ? AND state = 'measured' AND started > ? LIMIT ?",
        *(tag, since, number),
    )
    return len(found) >= number


def any_unaudited(ledger: Ledger, source: str) -> bool:
    """Whether a measured run of this code, in any swarm, has a number that no referee measured."""
    return bool(
        ledger.value(
            "SELECT count(*) FROM runs WHERE tag IN (SELECT tag FROM swarms) AND source = ?"  # for the index's sake
            " AND state = 'measured' AND audited = 0",
            source,
        )
    )


def newest_check(tx: Transaction, source: str) -> Run | None:
    """The newest run of the project's checks on this code; None where they never ended."""
    return _run(
        tx.ledger,
        tx.ledger.value(
            "SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'checked' ORDER BY started DESC",
            *(tx.tag, source),
        ),
    )


def newest_try_of_checks(tx: Transaction, source: str) -> RunRow | None:
    """The newest run of the project's checks on this code that runs or has ended, well or not; None where there is
    none, or its machine failed it."""
    return tx.ledger.record(
        RunRow,
        "WHERE tag = ? AND source = ? AND purpose = 'check' AND state != 'lost' ORDER BY started DESC, id DESC LIMIT 1",
        *(tx.tag, source),
    )


def found_invalid(ledger: Ledger, source: str) -> int:
    """How often a run of this code was found invalid, in any swarm."""
    return ledger.value("SELECT count(*) FROM runs WHERE source = ? AND failure = ?", source, Failure.INVALID)


def blamed_before(tx: Transaction, run: RunRow) -> bool:
    """Whether an earlier run of the same code ended so that nobody but itself blamed the machine."""
    return bool(
        tx.ledger.value(
            "SELECT count(*) FROM runs WHERE tag = ? AND source = ? AND failure IS NOT NULL"
            " AND json_extract(result, '$.own_word')",
            *(tx.tag, run.source),
        )
    )


def newest_of_others(tx: Transaction, run: RunRow) -> list[tuple[str, bool]]:
    """(source, whether nobody but itself blamed the machine) of the newest runs of other code on the same GPU that
    ended by themselves, newest first."""
    rows = tx.ledger.rows(
        "SELECT source, coalesce(json_extract(result, '$.own_word'), 0) AS own_word FROM runs"
        " WHERE tag = ? AND agent = ? AND source != ? AND result IS NOT NULL AND"
        " (state IN ('measured', 'crashed', 'checked') OR json_extract(result, '$.own_word'))"
        " ORDER BY started DESC, id DESC, attempt DESC LIMIT 50",
        *(tx.tag, run.agent, run.source),
    )
    return [(row["source"], bool(row["own_word"])) for row in rows]


def peak_memory_mb(ledger: Ledger, experiment: str) -> float | None:
    """The most memory that a measured run of an experiment took; None where that is not known."""
    return ledger.value("SELECT max(peak_vram_mb) FROM runs WHERE experiment = ? AND state = 'measured'", experiment)


# -- what runs gave ------------------------------------------------------------------------------------------------


def newest_result(ledger: Ledger, experiment: str) -> Run | None:
    """The newest result of an experiment, whatever it was."""
    return _run(
        ledger,
        ledger.value(
            "SELECT result FROM runs WHERE experiment = ? AND result IS NOT NULL"
            " AND (state != 'checked' OR failure IS NOT NULL) ORDER BY started DESC",
            experiment,
        ),
    )


def newest_run_of(ledger: Ledger, experiment: ExperimentRow) -> Run | None:
    """The newest result of the experiment's newest code that counts, be it a crash."""
    return _run(
        ledger,
        ledger.value(
            "SELECT result FROM runs WHERE experiment = ? AND source = ? AND result IS NOT NULL AND state != 'lost'"
            " AND (state != 'checked' OR failure IS NOT NULL) ORDER BY started DESC LIMIT 1",
            *(experiment.id, experiment.source),
        ),
    )


def newest_parent_run(ledger: Ledger, experiment: ExperimentRow) -> Run | None:
    """The newest measured run of the parent's code, on the experiment's own GPU if there is one."""
    return _run(
        ledger,
        ledger.value(
            "SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'measured'"
            " ORDER BY agent = ? DESC, started DESC LIMIT 1",
            *(experiment.tag, experiment.parent, experiment.owner),
        ),
    )


def newest_failed_run(ledger: Ledger, experiment: ExperimentRow) -> Run:
    """The run that failed as the experiment's row says."""
    result = ledger.value(
        "SELECT result FROM runs WHERE experiment = ? AND failure = ? ORDER BY started DESC",
        *(experiment.id, experiment.failure),
    )
    return ledger.decoded(result)


def crash_of_baseline(tx: Transaction) -> tuple[str, Run | None]:
    """Why the untouched code crashed last, and the run in which it did."""
    crash = tx.ledger.one(
        "SELECT e.reason, r.result FROM experiments e"
        " LEFT JOIN runs r ON r.experiment = e.id AND r.state = 'crashed'"
        " WHERE e.tag = ? AND e.baseline = 1 AND e.status = 'crash' ORDER BY e.verdict DESC",
        tx.tag,
    )
    return crash["reason"], _run(tx.ledger, crash["result"])


def _run(ledger: Ledger, result: str | None) -> Run | None:
    return ledger.decoded(result) if result else None


def metrics_of(tx: Transaction, source: str) -> list[Metrics]:
    """What the measured runs of this code printed."""
    return [run.metrics for run in measured_runs_of(tx, source) if run.metrics]


def measured_runs_of(tx: Transaction, source: str) -> list[Run]:
    """The runs of this code that gave a number, whole."""
    rows = tx.ledger.rows("SELECT result FROM runs WHERE tag = ? AND source = ? AND state = 'measured'", tx.tag, source)
    return [tx.ledger.decoded(row["result"]) for row in rows]


def traces_beside_parent(ledger: Ledger, experiment: str) -> list[tuple[Sequence[float], Sequence[float]]]:
    """The loss traces of an experiment's runs, each beside one of its parent's code on the same seed."""
    pairs = ledger.rows(
        "SELECT own.result AS own, parents.result AS parents FROM runs own JOIN runs parents"
        " ON parents.tag = own.tag AND parents.source = own.parent AND parents.seed = own.seed"
        " WHERE own.experiment = ? AND own.source != own.parent AND own.state = 'measured'"
        " AND own.purpose IN ('first', 'replicate') AND parents.state = 'measured'",
        experiment,
    )
    return [(ledger.decoded(pair["own"]).trace, ledger.decoded(pair["parents"]).trace) for pair in pairs]


def arms_of(tx: Transaction, experiment: str) -> list[tuple[str, str]]:
    """(source, parent) of the experiment's measured runs, the newest parent last.

    What was measured on a parent in quarantine is left out: that one's number was false.
    """
    rows = tx.ledger.rows(
        "SELECT source, parent FROM runs WHERE experiment = ? AND state = 'measured'"
        f" AND purpose IN ('first', 'replicate') AND parent NOT IN {FLAGGED_SOURCES}"
        " GROUP BY source, parent ORDER BY max(started)",
        *(experiment, tx.tag),
    )
    return [(row["source"], row["parent"]) for row in rows]


# -- steps ---------------------------------------------------------------------------------------------------------


def steps_of_source(ledger: Ledger, tag: str, source: str) -> list[tuple[str, float]]:
    """(agent, steps) of every measured run of a code."""
    rows = ledger.rows(
        "SELECT agent, steps FROM runs WHERE tag = ? AND source = ? AND state = 'measured' AND steps IS NOT NULL",
        *(tag, source),
    )
    return [(row["agent"], row["steps"]) for row in rows]


def steps_by_source_and_agent(ledger: Ledger, tag: str) -> dict[tuple[str, str], list[float]]:
    """The steps of all measured runs, by their code and agent."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in ledger.rows(
        "SELECT source, agent, steps FROM runs WHERE tag = ? AND state = 'measured' AND steps IS NOT NULL", tag
    ):
        groups[run["source"], run["agent"]].append(run["steps"])
    return groups


def reruns(ledger: Ledger, run: RunRow) -> tuple[int, int]:
    """How many runs the swarm made again because of contention, and how often this one."""
    spent, own = ledger.one(
        "SELECT count(*), total(id = ?) FROM runs WHERE tag = ? AND state = 'lost' AND failure = ?",
        *(run.id, run.tag, Failure.CONTENTION),
    )
    return spent, int(own)


# -- fresh runs ----------------------------------------------------------------------------------------------------


def begun_of_confirmation(ledger: Ledger, confirmation: int) -> list[RunRow]:
    """The runs of a confirmation that run or have ended; a lost one is begun again."""
    return ledger.records(RunRow, "WHERE confirmation = ? AND state != 'lost'", confirmation)


def ended_of_confirmation(ledger: Ledger, confirmation: int) -> int:
    return ledger.value(
        "SELECT count(*) FROM runs WHERE confirmation = ? AND state IN ('measured', 'crashed')", confirmation
    )


def pairs_of_confirmation(ledger: Ledger, confirmation: int, source: str, rival: str) -> list[tuple[float, float]]:
    """(ours, theirs): the values of the pairs in which both runs gave a number."""
    rows = ledger.rows(
        "SELECT ours.value AS ours, theirs.value AS theirs FROM runs ours JOIN runs theirs ON theirs.seed = ours.seed"
        " AND theirs.confirmation = ours.confirmation AND theirs.source = ?1 AND theirs.state = 'measured'"
        " WHERE ours.confirmation = ?2 AND ours.source = ?3 AND ours.state = 'measured' ORDER BY ours.seed",
        *(rival, confirmation, source),
    )
    return [(row["ours"], row["theirs"]) for row in rows]


def failure_in_confirmation(ledger: Ledger, confirmation: int) -> str | None:
    """Why a run of a confirmation crashed; None where none did."""
    return ledger.value("SELECT failure FROM runs WHERE confirmation = ? AND state = 'crashed'", confirmation)


def begun_closing(tx: Transaction, sources: Collection[str]) -> list[RunRow]:
    """The closing runs of these sources that run or have ended."""
    marks = ", ".join("?" * len(sources))
    return tx.ledger.records(
        RunRow,
        f"WHERE tag = ? AND source IN ({marks}) AND purpose = 'closing' AND state != 'lost'",
        *(tx.tag, *sources),
    )
