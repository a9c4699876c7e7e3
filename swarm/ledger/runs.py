"""The runs of a swarm: entering one, and storing its result."""

from __future__ import annotations

from swarm.codec import encode
from swarm.ledger.database import Ledger
from swarm.ledger.rows import ExperimentRow, RunRow, RunState
from swarm.ledger.run_results import values_of
from swarm.ledger.transaction import Transaction
from swarm.records import Failure, Measure, Purpose, Run

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
