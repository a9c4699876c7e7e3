"""One swarm as its ledger tells it: the part of a Snapshot that changes only when the ledger does."""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from swarm.judge.decide import read_policy
from swarm.judge.saturation import EDITS, indistinct
from swarm.ledger import payments
from swarm.ledger.ablations import AblationAsker, open_ablation
from swarm.ledger.agents import agents
from swarm.ledger.confirmations import Asker, confirmations
from swarm.ledger.database import Ledger
from swarm.ledger.events import RESUMED, count_events, events, notes
from swarm.ledger.experiments import experiments
from swarm.ledger.measurements import HiddenRun, calibrated, runs_with_hidden
from swarm.ledger.payments import Paid
from swarm.ledger.rows import (
    AgentRow,
    ConfirmationRow,
    ExperimentRow,
    ExperimentState,
    RunRow,
    RunState,
    SwarmRow,
    TrunkStep,
)
from swarm.ledger.runs import JUDGED
from swarm.ledger.trunk import leader, standing, steps
from swarm.project.prior import stored, weigh
from swarm.records import Failure, Purpose, Rung, Status
from swarm.snapshot.ablation import leaders_ablation
from swarm.snapshot.comparable import comparable_swarms, opened
from swarm.snapshot.end_runs import end_runs
from swarm.snapshot.numbers import Numbers, StateMean
from swarm.snapshot.records import (
    AgentView,
    ConfirmationView,
    Event,
    ExperimentView,
    KnownView,
    RunView,
    Snapshot,
    TrunkView,
)
from swarm.text import plural

CONFIRMATION = {*ConfirmationView.__struct_fields__} - {
    "title",
    "rival",
    "rival_title",
    "hidden",
    "corrected_gain",
}


class Picture:
    """Everything known of one swarm, each table read once. Made within one read of the ledger."""

    def __init__(self, ledger: Ledger, swarm: SwarmRow):
        self.ledger, self.swarm, self.tag = ledger, swarm, swarm.tag
        self.steps = steps(ledger, self.tag)
        self.ideas = {row.id: row for row in experiments(ledger, self.tag)}
        self.commits = {row.source: row.commit_sha for row in self.ideas.values() if row.source and row.commit_sha}
        self.commits[swarm.base_source] = swarm.base_commit
        self.tries = runs_with_hidden(ledger, self.tag)
        self.payments = payments.paid(ledger, self.tag)
        self.measured = [each.run for each in self.tries if each.run.state is RunState.MEASURED]
        repeats = Counter(run.source for run in self.measured)
        self.prior = stored(swarm.settings)
        policy = read_policy(swarm.policy)
        self.noiseless, self.kept_from = policy.noiseless, policy.rules.kept_from
        self.noise = calibrated(swarm, [run for run in self.measured if repeats[run.source] > 1])
        self.numbers = Numbers(swarm, self.tries, self.noise, self.noiseless, self.resumed())

    def snapshot(self, folder: str, now: float) -> Snapshot:
        """The snapshot of a swarm of which nothing is known but the ledger: its agents are stopped."""
        swarm, trunk, experiments = self.swarm, self.trunk(), self.experiments()
        best = leader(self.ledger, self.tag).source
        plain, better = self.numbers.headline(best, swarm.base_source)
        return Snapshot(
            tag=self.tag,
            now=now,
            started=swarm.started,
            ended=swarm.ended,
            status=swarm.status,
            folder=folder,
            branch=f"autoresearch/{self.tag}",
            metric=swarm.metric,
            direction=swarm.direction,
            policy=swarm.policy,
            researcher=swarm.researcher,
            device=swarm.device,
            budget=swarm.budget,
            deadline=swarm.deadline,
            limits=self.limits(),
            baseline=trunk[0].value,
            sigma=self.noise.sigma,
            best=trunk[-1].value,
            champion=next((e.id for e in reversed(experiments) if e.rung == Rung.CHAMPION), None),
            headline=plain,
            corrected=better,
            hidden=self.numbers.hidden(best, swarm.base_source),
            hidden_split=bool(swarm.settings.get("hidden")),
            agents=self.agents(experiments, trunk),
            trunk=trunk,
            experiments=experiments,
            runs=tuple(self._run(each, self.ideas[each.run.experiment]) for each in self.tries),
            confirmations=self.confirmations(),
            events=self.events(),
            notes=self.notes(),
            counts=self.counts(experiments),
            spent_usd=sum(row.usd for row in self.paid()),
            reserved_usd=sum(row.usd for row in self.payments if row.state == "reserved"),
            spend_limit_usd=swarm.max_usd,
            tokens=sum(row.tokens for row in self.paid()),
            token_limit=swarm.max_tokens,
            cache_share=self.cache_share(),
            gpu_hours=sum(agent.seconds for agent in agents(self.ledger, self.tag)) / 3600,
            train_share=self.train_share(),
            warnings=(swarm.reason,) if swarm.reason else (),
            swarms=comparable_swarms(self.ledger, swarm),
            categories=swarm.categories,
            opened=opened(swarm.key),
            demonstration=swarm.settings.get("demonstration") or "",
            saturated=self.saturated(),
            noiseless=self.noiseless,
            kept_from=self.kept_from,
            lost_policy=self.lost_policy(),
            ablation=leaders_ablation(self.ledger, swarm, {name: row.title for name, row in self.ideas.items()}),
            max_experiments=swarm.max_experiments,
            usual_seconds=swarm.measured_seconds / swarm.measured if swarm.measured else None,
            end_runs=end_runs(
                swarm, self.tries, best, self.resumed(), open_ablation(self.ledger, self.tag, AblationAsker.SWARM)
            ),
            standing=standing(self.ledger, self.tag),
        )

    def lost_policy(self) -> str:
        """That the swarm was launched with a policy that did not hold; "" where it has the one that it had."""
        launched = self.swarm.settings.get("policy", self.swarm.policy)
        if self.noiseless or not read_policy(launched).noiseless:
            return ""
        return f"policy {launched} did not hold, the same code gave other numbers: {self.swarm.policy} decides now"

    def limits(self) -> str:
        swarm = self.swarm
        hours = (swarm.deadline - swarm.started) / 3600 if swarm.deadline else None
        hours = hours and swarm.settings.get("hours", hours)  # a resumed swarm has another deadline
        experiments = swarm.max_experiments
        parts = [f"{hours:.3g} h" if hours else "", plural(experiments, "experiment") if experiments else ""]
        return ", ".join(part for part in parts if part) or "until you stop it"

    def saturated(self) -> bool:
        """Whether the newest different edits all measure the same within the noise."""
        judged = [r for r in self.ideas.values() if r.verdict and not r.baseline and r.restores is None]
        judged.sort(key=lambda row: row.verdict or 0)
        return indistinct([r.gain for r in judged if r.gain is not None][-EDITS:], self.noise.sigma)

    # -- what was measured -------------------------------------------------------------------------------------

    def trunk(self) -> tuple[TrunkView, ...]:
        """Every step with the mean of its runs; where there are fresh ones, of those alone: nobody selected them."""
        base = self.numbers.state(self.swarm.base_source)
        return tuple(self._step(step, self.numbers.state(step.source), base) for step in self.steps)

    def _step(self, step: TrunkStep, own: StateMean | None, base: StateMean | None) -> TrunkView:
        row = self.ideas.get(step.experiment or "")
        judged = self.numbers.gain(own, base) if row and own and base else (None, None, None)
        return TrunkView(
            step.position,
            step.experiment or "",
            row.title if row is not None else "baseline",
            self._shown(own and own.value),
            own.n if own else 0,
            *judged,
            at=step.at,
            commit=row.commit_sha if row is not None else self.swarm.base_commit,
            corrected=self._shown(own and own.corrected),
            fresh=bool(own and own.fresh),
        )

    def _shown(self, value: float | None) -> float | None:
        """A sign-normalised value in the metric's own direction."""
        return None if value is None else self.swarm.sign * value

    def experiments(self) -> tuple[ExperimentView, ...]:
        evidence = defaultdict(list)
        for row in self.measured:
            evidence[row.experiment].append(row)
        live = [row for row in self.ideas.values() if row.state is not ExperimentState.ABANDONED]
        live.sort(key=lambda row: (row.judged or math.inf, row.created))
        return tuple(self._experiment(row, evidence[row.restores or row.id]) for row in live)

    def _experiment(self, row: ExperimentRow, runs: list[RunRow]) -> ExperimentView:
        gain = None if row.baseline else row.gain
        low, high = (None, None) if row.baseline else row.interval
        if row.baseline and row.status is Status.KEEP and not runs:  # another GPU's number is this one's too
            runs = [run for run in self.measured if run.purpose is Purpose.BASELINE]
        measured = None if row.baseline or not row.source or not runs else self.numbers.state(row.source)
        if measured is None:
            own = [run.value or 0.0 for run in runs if run.source == row.source and run.purpose in JUDGED]
            value, count, fresh = sum(own) / len(own) if own else None, len(own), False
        else:
            value, count, fresh = self._shown(measured.value), measured.n, measured.fresh
        novelty, known = self._prior(row)
        return ExperimentView(
            id=row.id,
            agent=row.agent,
            title=row.title,
            category=row.category,
            state=row.state,
            status=row.status,
            rung=row.rung,
            outcome=row.outcome,
            rationale=row.rationale,
            commit=row.commit_sha,
            parent=self.commits.get(row.parent),
            position=row.position,
            value=value,
            value_n=count,
            fresh=fresh,
            plain_gain=None if row.baseline or row.restores else self.numbers.gain_on_parent(runs, row.judged),
            gain=gain,
            low=low,
            high=high,
            n=row.n,
            peak_vram_mb=max((run.peak_vram_mb or 0.0 for run in runs), default=0.0) or None,
            reason=row.reason,
            failure=row.failure,
            audited=bool(runs) and all(run.audited for run in runs),
            sandboxed=bool(runs) and all(run.sandboxed for run in runs),
            created=row.created,
            judged=row.judged,
            baseline=bool(row.baseline),
            quarantine=row.quarantine,
            restores=row.restores,
            real=row.real,
            novelty=novelty,
            known=known,
        )

    def _prior(self, row: ExperimentRow) -> tuple[str, KnownView | None]:
        """How prior art labels it, and by what."""
        if row.baseline or row.restores:
            return "", None
        novelty, most = weigh(row.idea, self.prior)
        return novelty, KnownView(most.what, most.source, most.gain, most.estimated) if most else None

    def _run(self, found: HiddenRun, experiment: ExperimentRow) -> RunView:
        run = found.run
        return RunView(
            id=run.id,
            attempt=run.attempt,
            experiment=run.experiment,
            agent=run.agent,
            purpose=run.purpose,
            seed=run.seed,
            state=run.state,
            sha=self.commits.get(run.source) or run.source,
            parent=self.commits.get(run.parent) or run.parent,
            metric=run.value,
            status=experiment.status,
            seconds=run.seconds,
            description=experiment.title,
            started=run.started,
            failure=run.failure,
            audited=run.audited,
            sandboxed=run.sandboxed,
            hidden=found.hidden,
            steps=run.steps,
            corrected=self._shown(self.numbers.corrected(run)) if run.state is RunState.MEASURED else None,
        )

    def paid(self, agent: str | None = None) -> list[Paid]:
        """The payments that are over, of one agent or of all."""
        return [row for row in self.payments if row.state != "reserved" and agent in (None, row.agent)]

    def cache_share(self) -> float | None:
        """The share of the prompts that came from the model's cache, of the calls whose truth is known."""
        known = [row for row in self.payments if row.state == "settled"]
        prompt = sum(row.prompt for row in known)
        return sum(row.cached for row in known) / prompt if prompt else None

    def confirmations(self) -> tuple[ConfirmationView, ...]:
        return tuple(map(self._confirmation, confirmations(self.ledger, self.tag)))

    def _confirmation(self, row: ConfirmationRow) -> ConfirmationView:
        """A strict test with the plain gain of its runs; what decided is the corrected one."""
        gain = self.numbers.confirmation_gain(row)
        same = gain is None or row.gain is None or math.isclose(gain, row.gain, rel_tol=1e-9)
        shift = 0.0 if gain is None or row.gain is None else gain - row.gain
        plain: dict[str, Any] = {
            "gain": gain,
            "low": None if row.low is None else row.low + shift,
            "high": None if row.high is None else row.high + shift,
        }
        return ConfirmationView(
            title=self.ideas[row.experiment].title,
            rival_title=self.ideas[row.rival_experiment].title,
            rival=row.rival_experiment,
            hidden=self.numbers.hidden(row.source, row.rival, None if row.asked == Asker.CLOSING else row.id),
            corrected_gain=None if same else row.gain,
            **{name: getattr(row, name) for name in CONFIRMATION} | plain,
        )

    def train_share(self) -> float | None:
        """Trainer start to referee end, over the wall time between each agent's first and last run, in each life of the
        swarm: nobody waited between its end and the next `--resume`.

        A filler passes the time of a GPU that has nothing to do: it counts as such. A run that was made before the
        swarm was founded is left out: nobody waited for the GPU in between.
        """
        spans, busy = defaultdict(list), 0.0
        resumed = self.resumed()
        for run in (each.run for each in self.tries):
            if run.seconds and run.started >= self.swarm.started:
                spans[run.agent, bisect(resumed, run.started)].append((run.started, run.seconds))
                busy += run.seconds if run.purpose is not Purpose.FILLER else 0.0
        wall = sum(max(start + seconds for start, seconds in own) - min(own)[0] for own in spans.values())
        return min(1.0, busy / wall) if wall > 0 else None

    def resumed(self) -> list[float]:
        """When the swarm was opened again, each time."""
        return [event.at for event in events(self.ledger, self.tag) if event.kind == RESUMED]

    # -- who did it, and what people saw -----------------------------------------------------------------------

    def agents(self, experiments: tuple[ExperimentView, ...], trunk: tuple[TrunkView, ...]) -> tuple[AgentView, ...]:
        gains = {step.experiment: step for step in trunk if step.gain is not None}
        rows = agents(self.ledger, self.tag)
        own = defaultdict(list)
        for view in experiments:
            if not view.baseline and view.restores is None:
                own[view.agent].append(view)
        return tuple(self._agent(row, own[row.agent], gains) for row in rows)

    def _agent(self, row: AgentRow, own: Sequence[ExperimentView], gains: dict[str, TrunkView]) -> AgentView:
        best = max(
            (gains[e.id] for e in own if e.id in gains and not e.quarantine),
            key=lambda step: step.gain or 0.0,
            default=None,
        )
        counts = Counter(e.status for e in own)
        return AgentView(
            agent=row.agent,
            branch=f"autoresearch/{self.tag}-{row.agent}",
            device=row.device,
            researcher=self.swarm.researcher_of(row.agent),
            state="stopped",
            gain=best.gain if best else None,
            low=best.low if best else None,
            high=best.high if best else None,
            keep=counts[Status.KEEP],
            discard=counts[Status.DISCARD],
            crash=counts[Status.CRASH],
            usd=sum(payment.usd for payment in self.paid(row.agent)),
            tokens=sum(payment.tokens for payment in self.paid(row.agent)),
        )

    def counts(self, experiments: tuple[ExperimentView, ...]) -> dict[str, int]:
        ideas = [e for e in experiments if not e.baseline and e.restores is None]
        status = Counter(e.status for e in ideas)
        return {
            **{word.value: status[word] for word in Status},
            "invalid": sum(e.failure == Failure.INVALID or e.rung == Rung.INVALID for e in ideas),
            "duplicate": count_events(self.ledger, self.tag, "duplicate"),
        }

    def events(self) -> tuple[Event, ...]:
        rows = events(self.ledger, self.tag)
        return tuple(Event(row.at, row.agent, row.kind, row.text, row.experiment) for row in rows)

    def notes(self) -> tuple[tuple[float, str], ...]:
        return tuple(notes(self.ledger, self.tag))
