"""What a free GPU does next, decided inside the board's transaction. The order is the one of `next_work`."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.board import ablations, carrying, confirmations, futility, trials
from swarm.board.limits import is_dawn, limit, past_deadline, time_to_confirm
from swarm.judge.closing import CLOSING_RUNS
from swarm.judge.pairs import Half, next_half
from swarm.ledger import experiments, fresh_runs, run_counts, run_results, runs, swarms, transitions, trunk
from swarm.ledger.agents import move_branch
from swarm.ledger.confirmations import open_confirmation
from swarm.ledger.experiments import baseline_of, experiment
from swarm.ledger.rows import ExperimentRow, ExperimentState, TrunkStep
from swarm.ledger.transaction import Transaction
from swarm.records import Measure, Outcome, Purpose, Rebase, Repair, Rest, Status, Stop, Work

LATE = 0.1  # of a run: an idea for which a GPU has waited so long may take longer still
ASKED = 50.0  # times a second at most that all agents that rest ask for work together
FILLED = CLOSING_RUNS  # runs, up to which a state is measured again while there is nothing better to do


def next_work(
    tx: Transaction, agent: str, fence: int, alive: frozenset[str], late: float = 0.0, mending: bool = False
) -> Work:
    """One agent's next work, with its run already entered in the ledger where it is one.

    `late` is for how many seconds it has had nothing to run. While it is `mending` its experiment, its GPU works for
    all: an experiment is judged before the next one of its agent starts. When the time is up nobody waits for that.
    """
    trials.lose_running(tx, agent)
    if tx.swarm.stop:
        return Stop(tx.swarm.reason or {"drain": "drained", "now": "stopped"}[tx.swarm.stop])
    choice = Choice(tx, agent, fence, alive)
    if mending and not (choice.over and choice.over.time):
        return choice.confirmation() or choice.closing() or choice.filler(late) or choice.rest("mending what crashed")
    return (
        choice.baseline()
        or choice.own_experiment()
        or choice.confirmation()
        or choice.dawn()
        or choice.own_draft()
        or choice.closing()
        or choice.ablation()
        or choice.filler(late)
        or choice.nothing()
    )


def under_way(tx: Transaction, alive: frozenset[str]) -> bool:
    """Whether anything is being thought out, waits or is tested that will come to a verdict."""
    return any(not baseline or owner in alive for owner, baseline in experiments.live_owners(tx))


@dataclass
class Choice:
    """The steps of `next_work`, each giving a piece of work or None. `alive` are the agents that hold a lease."""

    tx: Transaction
    agent: str
    fence: int
    alive: frozenset[str]

    def __post_init__(self) -> None:
        self.ledger, self.tag, self.swarm = self.tx.ledger, self.tx.tag, self.tx.swarm
        self.over = limit(self.tx, len(self.alive))

    def baseline(self) -> Work | None:
        """The untouched code first; nobody starts an idea before it is known that the code runs at all."""
        own = experiment(self.ledger, baseline_of(self.tag, self.agent))
        if own.state is ExperimentState.TESTING and self._known_elsewhere(own):
            return None
        if own.state is ExperimentState.TESTING:
            return None if self.over else self._measure(own, Purpose.BASELINE, own.source)
        if own.status is not Status.CRASH or run_counts.is_measured(self.tx, self.swarm.base_source):
            return None
        if experiments.testers_of_baselines(self.tx) & self.alive:
            return self.rest("its baseline crashed; waiting for another agent's")
        return self._hopeless()

    def _known_elsewhere(self, own: ExperimentRow) -> bool:
        """Whether another GPU's number of the untouched code is this one's too, or will be: where there is no noise,
        one run is enough for all GPUs of a swarm, which are of one model. Ideas need not wait for it."""
        if not self.tx.policy.noiseless:
            return False
        if run_counts.is_measured(self.tx, self.swarm.base_source):
            trials.settle_baseline(self.tx, own, run_counts.measured_baselines(self.ledger, own.id))
            return True
        return run_counts.is_running(self.tx, self.swarm.base_source)

    def own_experiment(self) -> Work | None:
        """What is being tested goes on until it is judged: first the own, then one whose owner is gone."""
        row = experiments.tested_by(self.tx, self.agent) or self._adopted()
        if row is None:
            return None
        if self.over and self.over.time:
            trials.give_up(self.tx, row.id, "the time was up")
            return None
        if row.failure and not row.repairs:
            crash = run_results.newest_failed_run(self.ledger, row)
            return Repair(row.id, row.idea, row.parent, row.source or "", crash)
        if row.position < trunk.tip(self.ledger, self.tag).position:
            return self._rebase(row)
        if row.outcome is Outcome.UNCHECKED:
            return self._measure(row, Purpose.CHECK, row.source, runs.CHECK_SEED)
        if self.tx.policy.noiseless and run_counts.is_measured(self.tx, row.source or ""):
            return self._parent_of(row)
        if row.refresh and self._parent_lags(row):
            return self._again(trunk.step_of(self.tx, row.parent), Purpose.REFRESH)
        seen = run_counts.measured_of(self.ledger, row.id)
        return self._measure(row, Purpose.REPLICATE if seen else Purpose.FIRST, row.source)

    def _parent_of(self, row: ExperimentRow) -> Work | None:
        """An experiment whose code has its one run still waits for the number of its parent."""
        if run_counts.is_measured(self.tx, row.parent):
            verdict = trials.judge(self.tx, row)
            unchecked = verdict.outcome is Outcome.UNCHECKED
            return self._measure(row, Purpose.CHECK, row.source, runs.CHECK_SEED) if unchecked else None
        if run_counts.is_running(self.tx, row.parent):
            return self.rest("waiting for the number of the code that it changed")
        return self._again(trunk.step_of(self.tx, row.parent), Purpose.REFRESH)

    def dawn(self) -> Work | None:
        """Before the end: what stands on the trunk and is in doubt runs again, instead of new ideas."""
        if not self.tx.policy.dawn or past_deadline(self.swarm, self.tx.now):
            return None
        if not is_dawn(self.tx, len(self.alive), self.over):
            return None
        source = carrying.uncertain(self.tx)
        return self._again(trunk.step_of(self.tx, source), Purpose.REFRESH) if source else None

    def own_draft(self) -> Work | None:
        """The idea that was thought out while the last one trained."""
        draft = None if self.over else experiments.draft_of(self.tx, self.agent)
        if draft is None:
            return None
        newest = trunk.tip(self.ledger, self.tag).position
        move_branch(self.tx, self.agent, newest)
        if draft.position < newest:
            return self._rebase(draft)
        transitions.set_testing(self.tx, draft.id)
        return self._measure(draft, Purpose.FIRST, draft.source)

    def confirmation(self) -> Work | None:
        """A fresh run for the strict test that is open; at the swarm's end the tip has its last chance of one."""
        if past_deadline(self.swarm, self.tx.now):
            return None
        if self._ends_with_a_confirmation():
            confirmations.consider(self.tx, last=True)
        test = open_confirmation(self.ledger, self.tag)
        return confirmations.next_run(self.tx, test, self.agent, self.fence, self.alive) if test else None

    def _ends_with_a_confirmation(self) -> bool:
        """Whether all is judged, and there is a champion to challenge once more and time to do it."""
        if not self.over or not trunk.champion(self.ledger, self.tag) or experiments.any_tested(self.tx):
            return False
        return time_to_confirm(self.tx, len(self.alive))

    def closing(self) -> Work | None:
        """When the limit is reached: fresh runs of the swarm's leader and of the baseline, both on each GPU in turn."""
        best, base = trunk.leader(self.ledger, self.tag), self.swarm.base_source
        if not self.over or best.source == base or past_deadline(self.swarm, self.tx.now):
            return None
        if open_confirmation(self.ledger, self.tag):  # who leads is not settled yet
            return None
        sources, names = (best.source, base), (best.experiment or "", baseline_of(self.tag, self.agent))
        since, made = swarms.life(self.tx).since, fresh_runs.begun_closing(self.tx, sources)
        # Those of an earlier life ran at another end, and keep their seeds.
        first = 1 + max((run.seed for run in made if run.started < since), default=runs.CLOSING_SEEDS - 1)
        begun = [Half(run.agent, sources.index(run.source), run.seed - first) for run in made if run.started >= since]
        # While something is tested the tip may change; the baseline does not.
        unsettled = experiments.any_tested(self.tx) and not trunk.champion(self.ledger, self.tag)
        wanted = confirmations.closing_runs(self.tx)
        half = next_half(begun, self.agent, self.alive, wanted, only=1 if unsettled else None)
        if half is None:
            return None
        row = experiment(self.ledger, names[half.arm])
        return self._measure(row, Purpose.CLOSING, sources[half.arm], first + half.pair)

    def ablation(self) -> Work | None:
        """After the closing wave: the leader's code without its steps, each in turn, to see what of it matters."""
        if not self.over or open_confirmation(self.ledger, self.tag) or experiments.any_tested(self.tx):
            return None
        return ablations.at_the_end(self.tx, self.agent, self.fence, len(self.alive))

    def filler(self, late: float) -> Work | None:
        """While the next idea is late: the swarm's leader again, then the trunk's tip, until both are well known.

        It delays no draft: the agent ends it when one is there.
        """
        if self.over or late < LATE * self.swarm.budget or not self.tx.policy.fills:
            return None
        for step in (trunk.leader(self.ledger, self.tag), trunk.tip(self.ledger, self.tag)):
            if run_counts.tried(self.tx, step.source) < FILLED:
                return self._again(step, Purpose.FILLER)
        return None

    def nothing(self) -> Work:
        if not self.over:
            return self.rest("thinking about the next idea")
        if experiments.any_tested(self.tx):  # what it gives may be confirmed, and who tests it may need a successor
            return self.rest("waiting for the last experiments")
        if open_confirmation(self.ledger, self.tag) and not past_deadline(self.swarm, self.tx.now):
            return self.rest("waiting for the last confirmation")
        return Stop(self.over.why)

    def rest(self, reason: str) -> Rest:
        """Nothing for now. However many agents rest, together they ask no more than a few times in a second."""
        return Rest(reason, max(1.0, len(self.alive) / ASKED))

    # -- pieces ------------------------------------------------------------------------------------------------

    def _measure(self, row: ExperimentRow, purpose: Purpose, source: str | None, seed: int | None = None) -> Measure:
        work = runs.begin(self.tx, self.agent, self.fence, row, purpose, source or "", seed=seed)
        return futility.watched(self.tx, row, work) if purpose is Purpose.FIRST else work

    def _rebase(self, row: ExperimentRow) -> Rebase:
        newest = trunk.tip(self.ledger, self.tag)
        return Rebase(row.id, row.idea, row.parent, row.source or "", newest.source, newest.position)

    def _parent_lags(self, row: ExperimentRow) -> bool:
        """Whether the parent should run before its challenger does again; failed tries count, so that it ends."""
        tried = run_counts.attempted(self.tx, row.parent)
        return tried < self.tx.policy.rules.parent_runs and tried <= row.n

    def _again(self, step: TrunkStep, purpose: Purpose) -> Measure:
        """Another run of a step of the trunk."""
        owner = experiment(self.ledger, step.experiment or baseline_of(self.tag, self.agent))
        return self._measure(owner, purpose, step.source)

    def _adopted(self) -> ExperimentRow | None:
        """An experiment in testing whose owner is gone for good becomes this agent's."""
        if experiments.testers(self.tx) <= self.alive:
            return None
        row = next(row for row in experiments.tested(self.tx) if row.owner not in self.alive)
        transitions.set_owner(self.tx, row.id, self.agent)
        return row

    def _hopeless(self) -> Stop:
        """The untouched code crashes on every agent: the swarm stops by itself instead of wasting its hours."""
        why, run = run_results.crash_of_baseline(self.tx)
        lines = [run.log_tail, f"the whole log: {run.log}" if run.log else ""] if run else []
        reason = "\n".join([f"the baseline crashes on every agent: {why}", *filter(None, lines)])
        swarms.stop_at_once(self.tx, reason)
        return Stop(reason)
