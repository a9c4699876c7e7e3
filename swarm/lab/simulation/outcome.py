"""What came of a simulated swarm: its ledger held against the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from swarm.lab.simulation.clock import EPOCH, HOUR
from swarm.lab.simulation.left_out import LeftOut, left_out
from swarm.lab.simulation.problem import Problem
from swarm.ledger import trunk
from swarm.ledger.confirmations import confirmed_codes
from swarm.ledger.database import Ledger
from swarm.ledger.experiments import experiments, is_kept, judged_ideas, own_mean
from swarm.ledger.rows import RunState, TrunkStep
from swarm.ledger.runs import all_runs
from swarm.ledger.sources import load_source
from swarm.ledger.transaction import of_swarm
from swarm.records import Idea, Purpose
from swarm.snapshot.build import Picture


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a swarm achieved, measured against the truth. Gains are in val_bpb and positive; optimism is in sigmas."""

    progress: tuple[tuple[float, float], ...]  # (hour, true gain of the trunk), from (0, 0) on
    steps: int  # that the trunk took, those that went back among them
    standing: int  # of these, under its tip at the end
    keeps: int  # of these, called kept
    false_keeps: int  # of these, truly no gain over what they were put on
    crowned: int  # states that won a confirmation
    false_champions: int  # of these, truly no better than the champion or baseline that they beat
    optimism: float | None  # of the headline: the claimed gain less the true one
    record_optimism: float | None  # of the trunk's recorded value, which is greedy's headline
    experiments: int
    runs: int
    new_share: float  # share of GPU time that went into first runs of new ideas
    new_ideas: int  # proposed for the first time
    wrongly_refused: int  # of these, refused as duplicates
    repeats: int  # proposed again
    repeats_run: int  # of these, trained once more
    proposals: int
    refused: int  # of these, as duplicates by whatever look
    judged: tuple[float, ...]  # the hour of every verdict on an idea
    rebases: int = 0  # edits that were carried onto a trunk that moved
    conflicts: int = 0  # of these, edits that could not be
    left_out: LeftOut | None = None  # what the ablation at its end came to

    @property
    def gain(self) -> float:
        return self.progress[-1][1]

    def gain_at(self, hour: float) -> float:
        """The true gain of the trunk at that hour."""
        return [gain for at, gain in self.progress if at <= hour][-1]

    def rate(self, number: int, over: int = 100) -> float:
        """Verdicts an hour around the verdict of that number."""
        first, last = number - over // 2, number + over // 2 - 1
        return (last - first) / (self.judged[last] - self.judged[first])


@dataclass(slots=True)
class Counted:
    """What the ledger does not tell, counted while the swarm runs."""

    proposals: int = 0
    refused: list[Idea] = field(default_factory=list)
    rebases: int = 0
    conflicts: int = 0


def outcome_of(ledger: Ledger, tag: str, problem: Problem, sigma: float, counted: Counted, ablated: bool) -> Outcome:
    """The outcome of the swarm, which is over. `ablated` says whether an ablation at its end is looked at, too."""
    return _Reckoning(ledger, tag, problem, sigma, counted).outcome(ablated)


@dataclass(frozen=True)
class _Reckoning:
    ledger: Ledger
    tag: str
    problem: Problem
    sigma: float
    counted: Counted

    def outcome(self, ablated: bool) -> Outcome:
        ledger, tag = self.ledger, self.tag
        steps = trunk.steps(ledger, tag)
        values = [self._value(step.source) for step in steps]
        crowns = [[self._value(code) for code in pair] for pair in confirmed_codes(ledger)]
        best = trunk.leader(ledger, tag).source  # which the headline is about
        gain = values[0] - self._value(best)
        headline = Picture(ledger, of_swarm(ledger, tag).swarm).snapshot("", now=EPOCH).headline
        return Outcome(
            progress=tuple(
                ((step.at - EPOCH) / HOUR, values[0] - value) for step, value in zip(steps, values, strict=True)
            ),
            steps=len(values) - 1,
            **self._kept(steps, values),
            crowned=len(crowns),
            false_champions=sum(value >= rival for value, rival in crowns),
            optimism=(headline.gain - gain) / self.sigma if headline else None,
            record_optimism=self._record_optimism(steps[-1].experiment, values[-1]),
            **self._spent(),
            **self._novelty(),
            left_out=left_out(ledger, tag, self.problem.value) if ablated else None,
        )

    def _value(self, source: str) -> float:
        return self.problem.value(load_source(self.ledger, source))

    def _kept(self, steps: list[TrunkStep], values: list[float]) -> dict[str, int]:
        """What stands at the end, what is called kept of it, and what of that truly gains nothing."""
        standing = trunk.standing(self.ledger, self.tag)
        value = {step.experiment: value for step, value in zip(steps, values, strict=True)}
        kept_from = of_swarm(self.ledger, self.tag).policy.rules.kept_from
        claimed = {row.id for row in experiments(self.ledger, self.tag) if is_kept(row, kept_from)}
        line = [(None, values[0]), *((name, value[name]) for name in standing)]
        kept = [(before, after) for (_, before), (name, after) in pairwise(line) if name in claimed]
        false = sum(after >= before for before, after in kept)
        return {"standing": len(standing), "keeps": len(kept), "false_keeps": false}

    def _record_optimism(self, experiment: str | None, true: float) -> float | None:
        """How much better the trunk's newest step stands in the record than it is; None where there is no step."""
        recorded = own_mean(self.ledger, experiment) if experiment else None
        return None if recorded is None else (true - recorded) / self.sigma

    def _spent(self) -> dict[str, Any]:
        runs = [run for run in all_runs(self.ledger, self.tag) if run.state is RunState.MEASURED]
        seconds = sum(run.seconds or 0.0 for run in runs)
        new = sum(run.seconds or 0.0 for run in runs if run.purpose is Purpose.FIRST)
        share = new / seconds if seconds else 0.0
        return {"experiments": judged_ideas(self.ledger), "runs": len(runs), "new_share": share}

    def _novelty(self) -> dict[str, Any]:
        ran = {run.experiment for run in all_runs(self.ledger, self.tag) if run.purpose is Purpose.FIRST}
        ideas = [row for row in experiments(self.ledger, self.tag) if not row.baseline and not row.restores]
        judged = sorted((row.judged - EPOCH) / HOUR for row in ideas if row.judged is not None)
        refused = self.counted.refused
        novelty = self.problem.novelty(refused, [row.idea for row in ideas if row.id in ran])
        counts = {"proposals": self.counted.proposals, "refused": len(refused), "judged": tuple(judged)}
        carried = {"rebases": self.counted.rebases, "conflicts": self.counted.conflicts}
        return asdict(novelty) | counts | carried
