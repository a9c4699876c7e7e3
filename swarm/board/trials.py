"""From a run to a verdict, inside the board's transaction: store it, gather the evidence, ask the judge, act on it."""

from __future__ import annotations

from msgspec.structs import replace

from swarm.board import ablations, carrying, confirmations, drifting, futility, quarantine, rollback
from swarm.board.contention import steps_of
from swarm.board.guards import broken_guard
from swarm.board.inspection import inspected
from swarm.board.verdicts import close
from swarm.judge.decide import Evidence, decide
from swarm.judge.exact import is_repeated
from swarm.judge.race import Arm
from swarm.judge.saturation import EDITS, SATURATED, indistinct
from swarm.ledger import agents, experiments, run_counts, run_results, runs, swarms, transitions, trunk
from swarm.ledger.events import was_warned
from swarm.ledger.experiments import baseline_of, experiment
from swarm.ledger.measurements import Which, noise, values
from swarm.ledger.rows import ExperimentRow, ExperimentState, RunRow, RunState
from swarm.ledger.runs import JUDGED
from swarm.ledger.transaction import Transaction
from swarm.records import Failure, Outcome, Purpose, Run, Rung, Status, Verdict
from swarm.text import plural

FAULTS, DEATHS = 3, 5  # how often a run may be lost: to the machine, and with its agent
INTERRUPTIONS = 10  # people may stop and resume a swarm; a training that always ends its own guard may not
TELLING = 3  # different losses from which on a trace says something


def record(tx: Transaction, agent: str, run: Run) -> Verdict | None:
    """Stores the run in its row and judges what it belongs to. None where there is nothing to judge, and the run is
    what it says."""
    row = runs.attempt_of(tx.ledger, run.run, run.attempt)
    if row is None or row.state in (RunState.MEASURED, RunState.CRASHED, RunState.CHECKED):
        return None
    if row.state is RunState.LOST:
        runs.store_late(tx.ledger, run)
        return None
    run = inspected(tx, row, run)
    state = _state(row, run)
    runs.store_result(tx, run, state, steps_of(run))
    agents.add_seconds(tx, agent, run.seconds)
    if state is RunState.LOST:
        return _lost(tx, row, run.reason)
    if state is RunState.MEASURED:
        _tell_what_was_odd(tx, agent, run)
        tx = _checked_for_noise(tx, row)
    tested = experiment(tx.ledger, row.experiment)
    if state is RunState.CHECKED and tested.state is not ExperimentState.JUDGED:
        return judge(tx, tested)
    if row.purpose not in JUDGED:
        if run.failure is Failure.INVALID:
            quarantine.expose(tx, row, run)
        _fresh(tx, row)
        disbelieved = run.own_word and state is RunState.CRASHED
        return Verdict(None, None, None, 0, run.reason, Outcome.CRASHED) if disbelieved else None
    if tested.baseline:
        return _judge_baseline(tx, tested, run)
    if run.failure is Failure.FUTILE:
        return futility.end(tx, tested, run)
    if state is RunState.CRASHED:
        return _crashed(tx, tested, run)
    return judge(tx, tested)


def _tell_what_was_odd(tx: Transaction, agent: str, run: Run) -> None:
    """Tells of a run that gave its number and was odd all the same, as one that hung: once in the same words."""
    if run.reason and not was_warned(tx, run.reason):
        tx.event(agent, "warning", run.reason)


def _checked_for_noise(tx: Transaction, row: RunRow) -> Transaction:
    """Where equal code should give equal numbers and did not: the swarm goes on by the rule that reckons with noise."""
    if not tx.policy.noiseless or is_repeated(values := run_results.values_of(tx, row.source)):
        return tx
    changed = tx.fall_back()
    title = experiment(tx.ledger, row.experiment).title
    spread = f"{min(values):.9g} to {max(values):.9g}"
    tx.event(
        "swarm",
        "warning",
        f"policy {tx.swarm.policy} does not hold here: the same code ({title}) measured {spread} in {len(values)} runs."
        f" From now on policy {changed.swarm.policy} decides; what was kept before, by one run each, may be luck",
        row.experiment,
    )
    return changed


def count(tx: Transaction, agent: str, run: Run) -> None:
    """Enters a run that was made before the swarm was founded as its agent's first one of the untouched code.

    Such a run counts once, for whichever swarm of its code comes first.
    """
    own = experiment(tx.ledger, baseline_of(tx.tag, agent))
    if own.source is None or runs.is_stored(tx.ledger, own.source, run.started):
        return
    work = runs.begin(replace(tx, now=run.started), agent, 0, own, Purpose.BASELINE, own.source)
    record(tx, agent, replace(run, run=work.run, attempt=work.attempt))


def _state(row: RunRow, run: Run) -> RunState:
    if run.metrics:
        return RunState.MEASURED
    if run.failure and not run.failure.blames_the_idea:
        return RunState.LOST
    if row.purpose is Purpose.CHECK:
        return RunState.CHECKED
    return RunState.CRASHED if run.failure else RunState.LOST


def lose_running(tx: Transaction, agent: str) -> bool:
    """What the agent was running, if anything, is lost without a word; the same run gets another attempt."""
    row = runs.running(tx.ledger, tx.tag, agent)
    if row:
        runs.set_state(tx.ledger, row, RunState.LOST)
        _lost(tx, row, "its agent went away")
    return row is not None


def _lost(tx: Transaction, run: RunRow, reason: str) -> Verdict | None:
    """A lost run is made again; one that was lost too often ends its experiment, lest it take every agent with it."""
    faults, silent, stopped = runs.losses(tx.ledger, run)
    if faults < FAULTS and silent < DEATHS and stopped < INTERRUPTIONS:
        return None
    runs.set_state(tx.ledger, run, RunState.CRASHED)
    tested = experiment(tx.ledger, run.experiment)
    if run.purpose not in (*JUDGED, Purpose.CHECK) or tested.state is ExperimentState.JUDGED:
        _fresh(tx, run)
        return None
    reason = f"lost {run.attempt} times: {reason}"
    if run.purpose is Purpose.BASELINE:
        return _crash(tx, tested, Failure.INFRASTRUCTURE, reason)
    give_up(tx, run.experiment, reason)
    return None


def _fresh(tx: Transaction, run: RunRow) -> None:
    """A run has ended that judges no experiment: it may have been the last one that a strict test waited for."""
    if run.confirmation is not None:
        confirmations.settle(tx, run.confirmation)
    elif run.purpose is Purpose.CLOSING:
        confirmations.close(tx)
        drifting.watch(tx, run)
    if run.purpose in (Purpose.CLOSING, Purpose.ABLATE, Purpose.CHECK):
        ablations.settle(tx, run)
    if run.purpose in (Purpose.REFRESH, Purpose.CONFIRM, Purpose.FILLER):
        rollback.reconsider(tx)
    carrying.follow(tx)


# -- verdicts ------------------------------------------------------------------------------------------------------


def judge(tx: Transaction, tested: ExperimentRow) -> Verdict:
    """Asks the judge, and does what it says."""
    evidence = _evidence(tx, tested)
    if not evidence.arms:  # all its runs were made on a parent that is in quarantine by now
        return _beside_nothing(tx, tested)
    verdict = decide(evidence, tx.policy)
    if verdict.status is None:
        transitions.set_evidence(tx, tested.id, verdict)
        carrying.follow(tx)
        return verdict
    if verdict.status is Status.KEEP:
        trunk.advance(tx, tested, trunk.tip(tx.ledger, tx.tag).position + 1)
    close(tx, tested, verdict)
    carrying.follow(tx)
    confirmations.consider(tx)
    _warn_once(tx, evidence.sigma)
    return verdict


def _evidence(tx: Transaction, tested: ExperimentRow) -> Evidence:
    """All that is known about the experiment."""
    known, source = noise(tx), tested.source or ""
    has_checks = bool(tx.swarm.settings.get("checks"))
    checked = run_results.newest_check(tx, source) if has_checks else None
    swarms.set_sigma(tx, known.sigma)
    arms = [
        Arm(tuple(values(tx, known, own, Which.OWN)), tuple(values(tx, known, parent)))
        for own, parent in run_results.arms_of(tx, tested.id)
    ]
    return Evidence(
        arms,
        known.sigma,
        tested.added_size,
        broken_guard=broken_guard(tx, source) or (checked.reason if checked and checked.failure else ""),
        unchecked=has_checks and checked is None,
        no_effect=tested.added_size >= 0 and does_nothing(tx, tested.id),
        belief=carrying.belief(tx, tested.id),
        unaudited=run_counts.any_unaudited(tx.ledger, source),
        trunk_moved=tested.parent != trunk.tip(tx.ledger, tx.tag).source,
    )


def does_nothing(tx: Transaction, name: str) -> bool:
    """Whether a run of the experiment trained exactly as its parent did on the same seed, loss by loss to the end.

    Nothing is said on a prefix: schedule edits look alike until the schedule bites. Where the machine does not repeat
    itself to the last bit, no two traces are the same and this finds nothing.
    """
    traces = run_results.traces_beside_parent(tx.ledger, name)
    return any(own == parents and len(set(own)) >= TELLING for own, parents in traces)


def _beside_nothing(tx: Transaction, tested: ExperimentRow) -> Verdict:
    """Without a parent to be compared with, an experiment goes on from the tip; where it stands on it, it ends."""
    if tested.parent != trunk.tip(tx.ledger, tx.tag).source:
        return Verdict(None, None, None, 0, "once more on a parent that is what it says", Outcome.UNDECIDED)
    reason = "there is no parent to compare it with but one in quarantine"
    give_up(tx, tested.id, reason)
    return Verdict(Status.DISCARD, None, None, 0, reason, Outcome.GIVEN_UP)


def _warn_once(tx: Transaction, sigma: float | None) -> None:
    """Tells people, once, that the newest edits cannot be distinguished."""
    if indistinct(experiments.newest_gains(tx, EDITS), sigma) and not was_warned(tx, SATURATED):
        tx.event("swarm", "warning", SATURATED)


def _judge_baseline(tx: Transaction, tested: ExperimentRow, run: Run) -> Verdict:
    """The untouched code is measured twice on every GPU, for the noise; or once, where there is none."""
    if run.failure:
        return _crash(tx, tested, run.failure, run.reason)
    done = run_counts.measured_baselines(tx.ledger, tested.id)
    broken = broken_guard(tx, tx.swarm.base_source)
    if broken:  # only an idea that mends it can be kept
        tx.event(tested.agent, "warning", f"the untouched code breaks a {broken}")
    swarms.set_sigma(tx, noise(tx).sigma)
    wanted = _baseline_runs(tx)
    if done < wanted:
        tx.event(tested.agent, "baseline", f"run {done} of {wanted} of the untouched code")
        return Verdict(None, 0.0, None, done, "once more, for the noise", Outcome.UNDECIDED)
    return settle_baseline(tx, tested, done)


def _baseline_runs(tx: Transaction) -> int:
    enlisted = len(agents.agents(tx.ledger, tx.tag))
    return tx.policy.baselines_of_each(enlisted, known=tx.swarm.sigma_prior is not None)


def settle_baseline(tx: Transaction, tested: ExperimentRow, done: int) -> Verdict:
    """The untouched code is known on this GPU, by so many runs of its own."""
    reason = "the untouched code, as another GPU measured it"
    if done:
        reason = f"{plural(done, 'run')} of the untouched code"
    verdict = Verdict(Status.KEEP, 0.0, None, done, reason, Outcome.BASELINE, Rung.KEPT)
    close(tx, tested, verdict)
    return verdict


def _crashed(tx: Transaction, tested: ExperimentRow, run: Run) -> Verdict:
    """The first crash asks for a repair; the second stands. A cheat is never repaired."""
    if tested.repairs == 0 and run.failure in (Failure.CODE, Failure.OOM):
        transitions.set_failure(tx, tested.id, run.failure, run.reason)
        return Verdict(None, None, None, 0, run.reason, Outcome.UNDECIDED)
    return _crash(tx, tested, run.failure, run.reason)


def let_stand(tx: Transaction, name: str) -> None:
    """No repair came: the crash stands."""
    row = experiment(tx.ledger, name)
    assert row.failure is not None, f"{name} has not crashed"
    _crash(tx, row, row.failure, row.reason)


def give_up(tx: Transaction, name: str, reason: str) -> None:
    """Ends an experiment that cannot go on, on what it has; what gave no result at all is free to be tried again."""
    row = experiment(tx.ledger, name)
    if run_counts.measured_of(tx.ledger, name):
        reason = f"near miss: {reason}"
        close(tx, row, Verdict(Status.DISCARD, row.gain, row.se, row.n, reason, Outcome.GIVEN_UP))
        transitions.taint_measured_beside_flagged(tx, name)
    elif row.failure:
        let_stand(tx, name)
    else:
        transitions.abandon(tx.ledger, name, reason)


def _crash(tx: Transaction, row: ExperimentRow, failure: Failure | None, reason: str) -> Verdict:
    verdict = Verdict(Status.CRASH, None, None, 0, reason, Outcome.CRASHED)
    close(tx, row, verdict, failure)
    return verdict
